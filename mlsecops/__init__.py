"""The learner's package: one small module per subject of the course."""
