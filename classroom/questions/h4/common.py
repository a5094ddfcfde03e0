"""What the questions of lab H4 share: made-up keys, and notebooks as data."""

from __future__ import annotations

import string

LETTERS = string.ascii_letters + string.digits


def text(r, count: int, among: str = LETTERS) -> str:
    """So many characters."""
    return "".join(r.choice(among) for _ in range(count))


def a_key(r) -> str:
    """A key in the lab's one format."""
    return f"pk_{text(r, 24)}"


def name(r) -> str:
    """A short word."""
    return r.choice("api model salary train data report people batch store cache".split()) + text(r, 3, "0123456789")


def cell(r, source: str, kind: str = "code", **more) -> dict:
    """A notebook's cell, as JSON has it."""
    made = {"cell_type": kind, "id": text(r, 8, "0123456789abcdef"), "metadata": {}, "source": source} | more
    return ({"outputs": [], "execution_count": None} if kind == "code" else {}) | made


def stream(content: str) -> dict:
    """What a cell printed."""
    return {"output_type": "stream", "name": "stdout", "text": content}


def notebook(cells: list[dict], **metadata) -> dict:
    """A notebook around its cells."""
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    known = kernel | {"language_info": {"name": "python"}} | metadata
    return {"cells": cells, "metadata": known, "nbformat": 4, "nbformat_minor": 5}
