"""Credentials that leaked: found in notebooks, configuration and git history, and never shown again.

No function here prints, logs, stores or raises any part of a secret. What is known of one is its kind, its place, and
a keyed fingerprint that tells whether two are the same.
"""
