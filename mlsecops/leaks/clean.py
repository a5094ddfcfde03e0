"""A notebook with what its author wrote, and nothing that running or an editor left behind.

It keeps by a list of what is wanted, since every editor invents new places: a person's name in Colab's
``executionInfo``, a file in ``colab.resources``, what was typed into a widget. Outputs go whatever a cell asks for.
"""

import json
import re
from typing import Any

from mlsecops.leaks.notebooks import Unreadable, joined, once

CELL = ("cell_type", "id", "metadata", "source", "execution_count", "outputs")
TAGS = {"keep_output", "keep-output"}  # they would tell other tools to keep outputs
KERNEL = ("display_name", "language", "name")


def cleaned(data: bytes, keep: tuple[str, ...] = ()) -> bytes:
    """Return the cleaned notebook, or ``data`` itself where nothing has to go.

    Cell ids, sources, tags, the kernel's name and the language stay; outputs, execution counts, attachments, widgets
    and all other metadata go.

    Args:
        data: a notebook of version 4.
        keep: names of metadata, of cells and of the notebook, that stay as well.

    Raises:
        Unreadable: it is no such notebook.
    """
    try:
        content = json.loads(data.decode("utf-8-sig"), object_pairs_hook=once)
        cells = content["cells"]
        made = {
            "cells": [_cell(cell, keep) for cell in cells],
            "metadata": _metadata(content.get("metadata") or {}, keep),
            "nbformat": content["nbformat"],
            "nbformat_minor": content.get("nbformat_minor", 0),
        }
        if type(made["nbformat"]) is not int or type(made["nbformat_minor"]) is not int:
            raise TypeError
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise Unreadable("not a notebook of version 4, or not a complete one") from None
    if made == content:
        return data
    return (json.dumps(made, indent=1, ensure_ascii=False) + "\n").encode()


def _cell(cell: dict[str, Any], keep: tuple[str, ...]) -> dict[str, Any]:
    made = {name: cell[name] for name in CELL if name in cell}
    metadata = {name: value for name, value in cell.get("metadata", {}).items() if name in keep}
    tags = [tag for tag in cell.get("metadata", {}).get("tags", ()) if tag not in TAGS]
    made["metadata"] = metadata | ({"tags": tags} if tags else {})
    if cell["cell_type"] == "code":
        made |= {"outputs": [], "execution_count": None}
    else:
        made.pop("outputs", None)
        made.pop("execution_count", None)
    if "id" in made and not (isinstance(made["id"], str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", made["id"])):
        raise TypeError
    if not isinstance(made["source"], str) and joined(made["source"]) != "".join(made["source"]):
        raise TypeError
    return made


def _metadata(metadata: dict[str, Any], keep: tuple[str, ...]) -> dict[str, Any]:
    made = {name: value for name, value in metadata.items() if name in keep}
    kernel = {name: value for name, value in (metadata.get("kernelspec") or {}).items() if name in KERNEL}
    language = {name: value for name, value in (metadata.get("language_info") or {}).items() if name == "name"}
    if not all(isinstance(value, str) and len(value) <= 80 for value in (*kernel.values(), *language.values())):
        raise TypeError
    return made | ({"kernelspec": kernel} if kernel else {}) | ({"language_info": language} if language else {})
