"""Lab H4, notebooks and tracking: six questions, from an address without its password to a scanner of notebooks.

Things that look alike come mixed: each kind of secret or dirt beside what differs from it by one property. All keys are
made up in one format, `pk_` and 24 letters or digits, so that the work is in reading notebooks and not in lists of
providers.
"""

# What the lab's cells import; the grader has it ready before the first submission.
LIBRARIES = ("classroom.lesson",)
# What the learner's code may import in a grading.
OPENS = ("classroom.lesson",)
# What Colab lacks of what lesson and lab need.
COLAB_TOOLS = ("detect-secrets", "nbstripout", "pre-commit")
