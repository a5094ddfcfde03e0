"""Lab H1, the framework: six questions, from the flows that cross a boundary to what a leaked key cost.

Each is decided by numbers or by a rule that the prompt states; threats typed from memory, benefits that are added and
point estimates lose.
"""

# What the lab's cells import; the grader has it ready before the first submission.
LIBRARIES = ("numpy", "classroom.lesson")
# What the learner's code may import in a grading.
OPENS = ("classroom.lesson",)
