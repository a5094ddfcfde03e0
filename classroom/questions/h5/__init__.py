"""Lab H5, monitoring: six questions, from one number about a window of queries to the report on an incident.

Honest and hostile things come mixed, thresholds have to be calibrated on some clients and are judged on others, and
each question holds back families that practice never shows.
"""

# What the lab's cells import; the grader has it ready before the first submission.
LIBRARIES = ("numpy", "classroom.lesson", "matplotlib.pyplot")
# What the learner's code may import in a grading.
OPENS = ("classroom.lesson",)
