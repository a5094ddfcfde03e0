"""Tools for securing a machine-learning pipeline: small modules, one per subject, that know nothing of the course."""
