"""What the questions of lab H1 share: made-up names."""

from __future__ import annotations

ZONES = "world team production hosted customers finance".split()
NAMES = "survey index hub laptop registry service log tracker host desk store queue cache portal vault".split()


def word(r) -> str:
    """A short made-up name."""
    return r.choice(NAMES) + "".join(r.choice("0123456789") for _ in range(3))
