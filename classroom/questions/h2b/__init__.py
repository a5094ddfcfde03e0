"""Lab H2b, model files: five questions about pickles, joblib files and a bill of materials.

Every case is built from its answer: the globals are known before the stream is written.
"""

# What the lab's cells import; the grader has it ready before the first submission.
LIBRARIES = (
    "classroom.lesson",
    "matplotlib.pyplot",
    "numpy",
    "cyclonedx.model.bom",
    "cyclonedx.output.json",
    "cyclonedx.spdx",
    "joblib",
)
# Small tools that the lesson and the lab run and Colab lacks, at the pins of requirements.txt. Never a heavy library.
COLAB_TOOLS = ("cyclonedx-python-lib[json-validation]", "picklescan")
