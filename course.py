"""One door to the course: python course.py run | lab | test. Needs nothing but Python 3.11, 3.12 or 3.13."""

import sys

# This file must stay readable to the oldest Python, which would otherwise answer with a syntax error.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("This course needs Python 3.11 or newer; this is Python %d.%d." % sys.version_info[:2])  # noqa: UP031
# The pinned packages have no wheels for these yet; said here, and not after gigabytes of downloads.
if sys.version_info >= (3, 14):
    sys.exit("This course runs on Python 3.11, 3.12 and 3.13; this is Python %d.%d." % sys.version_info[:2])  # noqa: UP031

from authoring.door import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
