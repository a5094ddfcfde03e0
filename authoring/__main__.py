"""`python -m authoring` executes the lessons; what `course.py run` calls once everything is installed."""

import sys

if __name__ == "__main__":
    try:
        from authoring.execute import main  # imports for a second, in which Ctrl-C must not end in a traceback

        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
