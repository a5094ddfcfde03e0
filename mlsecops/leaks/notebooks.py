"""Every text that a notebook or a configuration file holds, decoded, with its place.

A notebook is JSON in which source and outputs are escaped, split into lines and sometimes base64: a search over the
file's own text misses what stands there, and finds what does not.
"""

import base64
import binascii
import html
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from mlsecops.leaks import secrets

PLACES = ("source", "markdown", "raw", "output", "metadata", "widget", "attachment", "config")
ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
TAG = re.compile(r"<[^<>]{0,2000}>")
BETWEEN = re.compile(r"</t[dh]>\s*<t[dh][^<>]*>")  # two fields of a table's row
ESCAPED_QUOTE = re.compile(r"\\+([\"'])")
IMAGES = (
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/bmp",
    "image/tiff",
    "application/pdf",
    "audio/",
    "video/",
)
TEXTS = set("py pyi ipynb env json yaml yml toml ini cfg conf sh bash txt md r jl sql tf tfvars properties".split())


class Unit(NamedTuple):
    """One text.

    Attributes:
        place: a name in `PLACES`.
        text: what stands there.
        cell: the notebook cell's id, or its number where it has none; "" outside cells.
        line: of the text's first line, from 1; 0 where lines mean nothing.
        name: what the text is set to by, for a field of a structure; "" for free text.
        beside: the names of the fields next to it.
        python: whether the text is Python.
    """

    place: str
    text: str
    cell: str = ""
    line: int = 0
    name: str = ""
    beside: tuple[str, ...] = ()
    python: bool = False


class Unreadable(ValueError):  # noqa: N818 - a state of the file
    """A file whose text cannot be taken apart. The message holds nothing of its content."""


def joined(value: Any) -> str:
    """A notebook's text: a string, or a list of its lines."""
    return (
        value
        if isinstance(value, str)
        else "".join(part for part in value if isinstance(part, str))
        if isinstance(value, list)
        else ""
    )


def is_notebook(data: bytes) -> bool:
    """Whether bytes are meant as a notebook, whatever the file is called."""
    head = data[:4_096].lstrip(b"\xef\xbb\xbf \t\r\n")
    return head.startswith(b"{") and (b'"cells"' in data or b'"worksheets"' in data) and b'"nbformat"' in data


def notebook(data: bytes) -> Iterator[Unit]:
    """The texts of a notebook.

    Raises:
        Unreadable: it is no JSON, or no notebook.
    """
    try:
        content = json.loads(data.decode("utf-8-sig"), object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise Unreadable("not a complete notebook: its JSON cannot be read, or says something twice") from None
    if not isinstance(content, dict):
        raise Unreadable("not a notebook")
    cells = content.get("cells")
    if cells is None:
        sheets = content.get("worksheets")
        sheets = [sheet for sheet in sheets if isinstance(sheet, dict)] if isinstance(sheets, list) else []
        cells = [cell for sheet in sheets if isinstance(sheet.get("cells"), list) for cell in sheet["cells"]]
    if not isinstance(cells, list):
        raise Unreadable("not a notebook: its cells are no list")
    for number, cell in enumerate(cells, 1):
        if isinstance(cell, dict):
            yield from _cell(cell, _identifier(cell) or f"number {number}")
    metadata = content.get("metadata")
    if isinstance(metadata, dict):
        widgets = metadata.get("widgets")
        yield from _widgets(widgets)
        yield from structure({name: value for name, value in metadata.items() if name != "widgets"}, "metadata")


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names stand once each: readers differ on which of two counts. Raises ValueError."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("the same name twice")
    return made


def _identifier(cell: dict) -> str:
    """A cell's id, if it is one: what a report shows must not be a secret itself."""
    metadata = cell.get("metadata")
    for given in (cell.get("id"), metadata.get("id") if isinstance(metadata, dict) else None):
        if isinstance(given, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", given) and not any(secrets.find(given)):
            return given
    return ""


def _cell(cell: dict, name: str) -> Iterator[Unit]:
    kind = cell.get("cell_type")
    place = {"code": "source", "markdown": "markdown"}.get(str(kind), "raw")
    source = joined(cell.get("source", cell.get("input", "")))
    yield Unit(place, source, name, 1, python=place == "source")
    for files in (cell.get("attachments") or {}).values() if isinstance(cell.get("attachments"), dict) else ():
        yield from _bundle(files, "attachment", name, encoded=True)
    outputs = cell.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if not isinstance(output, dict):
            continue
        yield from text(joined(output.get("text", "")), "output", name)
        yield from _bundle(output.get("data") or {}, "output", name)
        if output.get("output_type") in ("error", "pyerr"):
            trace = output.get("traceback")
            lines = [part for part in trace if isinstance(part, str)] if isinstance(trace, list) else []
            yield from text(
                "\n".join([str(output.get("ename", "")), str(output.get("evalue", "")), *lines]), "output", name
            )
        yield from structure(output.get("metadata") or {}, "metadata", name)
        if "data" not in output:  # version 3 kept the types beside each other
            yield from _bundle(
                {k: v for k, v in output.items() if k in ("html", "svg", "latex", "json", "javascript")}, "output", name
            )
    metadata = cell.get("metadata")
    if isinstance(metadata, dict):
        colab = metadata.get("colab")
        resources = colab.get("resources") if isinstance(colab, dict) else None
        for address, resource in (resources or {}).items() if isinstance(resources, dict) else ():
            yield from text(str(address), "metadata", name)
            if isinstance(resource, dict):
                yield from _decoded(resource.get("data"), "metadata", name)
                yield from structure({k: v for k, v in resource.items() if k != "data"}, "metadata", name)
            else:
                yield from _decoded(resource, "metadata", name)
        rest = {k: v for k, v in colab.items() if k != "resources"} if isinstance(colab, dict) else colab
        yield from structure(metadata | ({"colab": rest} if "colab" in metadata else {}), "metadata", name)


def _bundle(files: Any, place: str, cell: str, encoded: bool = False) -> Iterator[Unit]:
    """One output or attachment in several types."""
    for kind, value in files.items() if isinstance(files, dict) else ():
        if str(kind).startswith(IMAGES):
            continue  # pixels
        if encoded and isinstance(value, str | list):
            yield from _decoded(joined(value), place, cell)
        elif isinstance(value, dict):
            yield from structure(value, "widget" if "widget" in str(kind) else place, cell)
        elif isinstance(value, list) and not all(isinstance(part, str) for part in value):
            yield from structure(value, place, cell)
        else:
            yield from text(joined(value), place, cell)


def _decoded(value: Any, place: str, cell: str) -> Iterator[Unit]:
    """Base64 with a text in it."""
    try:
        raw = base64.b64decode(joined(value), validate=False)
    except (binascii.Error, ValueError):
        yield from text(joined(value), place, cell)
        return
    readable = as_text(raw)
    if readable is None:
        return
    try:
        yield from structure(json.loads(readable), place, cell)
    except (ValueError, RecursionError):
        yield from text(readable, place, cell)


def as_text(raw: bytes) -> str | None:
    """Bytes as text; None where they are none."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    if b"\0" in raw[:8_192]:
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        decoded = raw.decode("latin-1")
        odd = sum(not (c.isprintable() or c in "\t\r\n\x1b\f") for c in decoded[:8_192])
        return decoded if odd <= len(decoded[:8_192]) // 50 else None


def text(content: str, place: str, cell: str = "", line: int = 1) -> Iterator[Unit]:
    """A text as it reads: without colors; without tags, where it is HTML; with escaped quotes as quotes."""
    if not content:
        return
    content = ANSI.sub("", content)
    yield Unit(place, content, cell, line)
    if "<" in content and TAG.search(content):
        plain = html.unescape(TAG.sub("", BETWEEN.sub(" | ", content)))
        if plain != content:
            yield Unit(place, plain, cell, 0)
    if '\\"' in content or "\\'" in content:
        yield Unit(place, ESCAPED_QUOTE.sub(r"\1", content).replace("\\n", "\n"), cell, 0)


def _widgets(widgets: Any) -> Iterator[Unit]:
    """Saved widgets. What was typed into a password field is kept in the clear."""
    for kind in (widgets or {}).values() if isinstance(widgets, dict) else ():
        states = kind.get("state", kind) if isinstance(kind, dict) else {}
        for model in states.values() if isinstance(states, dict) else ():
            state = model.get("state", model) if isinstance(model, dict) else {}
            if not isinstance(state, dict):
                continue
            if (state.get("_model_name") or model.get("model_name")) == "PasswordModel" and isinstance(
                state.get("value"), str
            ):
                yield Unit("widget", state["value"], name="password")
            label = state.get("description")
            if isinstance(label, str) and isinstance(state.get("value"), str):
                yield Unit("widget", state["value"], name=label)
            yield from structure(state, "widget")


def structure(
    content: Any, place: str, cell: str = "", name: str = "", beside: tuple[str, ...] = (), deep: int = 60
) -> Iterator[Unit]:
    """The texts of nested dictionaries and lists, each with the name that it is set to."""
    if isinstance(content, str):
        yield Unit(place, content, cell, 0, name, beside)
        if content[:1] in ("{", "[") and deep:
            try:
                yield from structure(json.loads(content), place, cell, name, deep=deep - 1)
            except (ValueError, RecursionError):
                pass
        elif "<" in content or "\x1b" in content:
            yield from text(content, place, cell, 0)
    elif isinstance(content, dict) and deep:
        names = tuple(str(key) for key in content)
        named = content.get("name", content.get("key"))
        for key, value in content.items():
            # {"name": "OPENAI_API_KEY", "value": "…"} and {"token": {"default": "…"}} are how files spell a setting.
            label = str(key)
            if label.lower().removeprefix("current") in ("value", "default", "content", "data", "text"):
                label = named if isinstance(named, str) else name or label
            yield from structure(value, place, cell, label, names, deep - 1)
    elif isinstance(content, list) and deep:
        if content and all(isinstance(part, int | float) for part in content[:3]):
            return
        for value in content:
            yield from structure(value, place, cell, name, beside, deep - 1)


def other(data: bytes, path: str) -> Iterator[Unit]:
    """The texts of a file that is no notebook: configuration by its structure, code by its syntax, all else as text.

    Args:
        data: the file.
        path: its name decides only which parser is tried first.
    """
    ending = path.rsplit(".", 1)[-1].lower()
    content = as_text(data)
    if content is None:
        if ending in TEXTS:
            raise Unreadable("not the text that its name says: it holds zero bytes")
        return
    python = ending in ("py", "pyi", "pyw")
    yield Unit("config" if not python else "source", content, line=1, python=python)
    if '\\"' in content and not python:
        yield Unit("config", ESCAPED_QUOTE.sub(r"\1", content).replace("\\n", "\n"))
    if len(content) > 5_000_000:
        return
    try:
        if ending == "json":
            yield from _lined(structure(json.loads(content), "config"), content)
        elif ending == "toml":
            yield from _lined(structure(tomllib.loads(content), "config"), content)
        elif ending in ("yaml", "yml"):
            for document in yaml.compose_all(content, Loader=yaml.SafeLoader):
                yield from _yaml(document, seen=set())
        elif ending in ("html", "htm", "svg", "xml"):
            yield from text(content, "config")
    except (ValueError, RecursionError, yaml.YAMLError):
        pass  # its text was given already


def _lined(units: Iterator[Unit], content: str) -> Iterator[Unit]:
    for unit in units:
        at = content.find(unit.text) if len(unit.text) >= 4 else -1
        yield unit._replace(line=content.count("\n", 0, at) + 1 if at >= 0 else 0)


def _yaml(node: yaml.Node | None, name: str = "", beside: tuple[str, ...] = (), *, seen: set[int]) -> Iterator[Unit]:
    if node is None or id(node) in seen or len(seen) > 1_000_000:
        return  # an alias of what was read already: a few lines of them can stand for billions
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        yield Unit("config", node.value, "", node.start_mark.line + 1, name, beside)
    elif isinstance(node, yaml.MappingNode):
        fields = {str(key.value): value for key, value in node.value}
        label = fields.get("name", fields.get("key"))
        for key, value in fields.items():
            given = label.value if key == "value" and isinstance(label, yaml.ScalarNode) else key
            yield from _yaml(value, given, tuple(fields), seen=seen)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _yaml(value, name, beside, seen=seen)
