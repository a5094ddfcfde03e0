"""Lab H2a, dependencies: five questions about names, pins, audits, signatures and workflows.

Every case is built from its answer: a squat is made from the name it imitates, a bad line from the rule it breaks.
"""

# What the lab's cells import; the grader has it ready before the first submission.
LIBRARIES = (
    "classroom.lesson",
    "matplotlib.pyplot",
    "numpy",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
    "packaging.requirements",
    "rapidfuzz.distance",
    "yaml",
)
# Small tools that the lesson and the lab run and Colab lacks, at the pins of requirements.txt. Never a heavy library.
COLAB_TOOLS = ("pip-audit", "rapidfuzz", "zizmor")
