"""Lab H3, serving: eight questions. In six of them a service that the learner wrote is attacked, event by event.

Each of the six is one layer of a service. What is in front of it, the client, is played from outside; so is what lies
behind it, the app that it protects. An attack and an honest request differ in one thing only, and which answer is due
follows from how the request was built.
"""

# What the lab's cells import; the grader has it ready before the first submission.
LIBRARIES = ("classroom.lesson", "matplotlib.pyplot", "numpy")
# Small tools that the lesson and the lab run and Colab lacks, at the pins of requirements.txt. Never a heavy library.
COLAB_TOOLS = ("pydantic-settings", "uvicorn")
