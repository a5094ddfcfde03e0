"""Wrong answers to lab H4."""

from . import Mutant, Shortcut

MUTANTS = (
    Mutant("h4-q1", "the first @", (('rpartition("@")[2]', 'partition("@")[2] or parts.netloc'),), 0.3, 0.5, "the-first-at", None),
    Mutant("h4-q1", "the query stays", (('return f"{name}=removed" if secret and equals else pair', "return pair"),), 0, 0.35, "query"),
    Mutant("h4-q1", "inside a name", (("secret = name.lower() in {", "secret = any(word in name.lower() for word in {"), ('"api_key"}', '"api_key"})')), 0.3, 0.5, "inside-a-name"),
    Mutant("h4-q1", "no address is one", (("if not parts.scheme or not place:", "if False:"),), 0.3, 0.5, "no-address"),
    Mutant("h4-q2", "kept when asked", (('cell["outputs"], cell["execution_count"] = [], None', 'if not ({"keep_output"} & {*cell["metadata"], *cell["metadata"].get("tags", [])}): cell["outputs"], cell["execution_count"] = [], None'), ('if tag != "keep_output"]', "]")), 0, 0.95, "asked-nicely"),
    Mutant("h4-q2", "a list of dirt", (('cell["metadata"] = {"tags": tags} if tags else {}', 'for bad in ("executionInfo", "colab", "id", "keep_output", "tags"): cell["metadata"].pop(bad, None)\n        cell["metadata"] |= {"tags": tags} if tags else {}'), ('cell.pop("attachments", None)', 'cell.pop("attachments", None) if cell["cell_type"] == "markdown" else None')), 0, 0.5, "list-of-dirt", None),
    Mutant("h4-q2", "tags go, too", (('{"tags": tags} if tags else {}', "{}"),), 0, 0.5, "too-much"),
    Mutant("h4-q3", "each that has it", (("holding & own[name] - before", "holding & own[name]"),), 0, 0.5, "each-commit-that-has-it"),
    Mutant("h4-q3", "the first parent", (('for parent in commit["parents"]', 'for parent in commit["parents"][:1]'),), 0.2, 0.5, "one-parent"),
    Mutant("h4-q3", "nothing unnamed", (("unnamed = holding - set().union(*own.values())", "unnamed = set()"), ("    pushed = any(holding & own[name] for name in reached)", "    pushed = True")), 0, 0.5, "branches-only"),
    Mutant("h4-q4", "an output that may stay", (('"pass" if clean(notebook) == notebook', '"pass" if all({"keep_output", "init_cell"} & {*c["metadata"], *c["metadata"].get("tags", [])} or c == d for c, d in zip(notebook["cells"], clean(notebook)["cells"])) and clean(notebook)["metadata"] == notebook["metadata"]'),), 0, 0.5, "asked-nicely"),
    Mutant("h4-q4", "unknown passes", (('return "unknown"', 'return "pass"'),), 0, 0.5, "unknown-is-no-pass"),
    Mutant("h4-q4", "outputs only", (("clean(notebook) == notebook", 'not any(c.get("outputs") or c.get("execution_count") for c in notebook["cells"])'),), 0, 0.4, "outputs-only"),
    Mutant("h4-q4", "every file", ((' if path.lower().endswith(".ipynb")', ""),), 0, 0.5, "names"),
    Mutant("h4-q5", "not decoded", (("        yield decoded(part)\n", ""),), 0.2, 0.5, "not-decoded"),
    Mutant("h4-q5", "walls", ((r'text = re.sub(r"\x1b\[[0-9;]*m|<[^<>]*>", "", text)', "pass"), (r'''text = re.sub(r"""["']\s*\+?\s*["']""", "", text)''', "pass")), 0.1, 0.5, "walls"),
    Mutant("h4-q5", "outputs unread", (("any(map(has_key, texts(cell)))", 'any(map(has_key, texts({**cell, "outputs": []})))'),), 0, 0.5, "outputs-unread"),
    Mutant("h4-q5", "no boundaries", (("(?<![A-Za-z0-9_])", ""), ("(?![A-Za-z0-9])", ""), ("{24}", "{20,}")), 0, 0.5, "boundaries"),
    Mutant("h4-q5", "placeholders are keys", (("len(set(key)) > 1", "True"),), 0.2, 0.5, "harmless"),
    Mutant("h4-q6", "the first only", (("re.sub(pattern, replacement, line)", "re.sub(pattern, replacement, line, count=1)"),), 0.2, 0.5, "the-first-only"),
    Mutant("h4-q6", "keys only", (("    for line in lines:\n        for pattern", "    for line in lines:\n        patterns = patterns[:1]\n        for pattern"),), 0, 0.35, "keys-only"),
    Mutant("h4-q6", "too much", ((r"(://[^\s/:@]+:)[^\s/@]+@", r"(://)\S+"), ("(?<![A-Za-z0-9_])", ""), (r"\b((?:password|passwd|secret)=)", r"((?:password|passwd|secret|Bearer|pk_).?)")), 0, 0.5, "too-much"),
)  # fmt: skip

SHORTCUTS = (
    Shortcut("h4-q1", "the address as it is", (("    parts = urlsplit(address)\n", "    return address\n"),)),
    Shortcut("h4-q2", "outputs only", (('        cell.pop("attachments", None)\n', ""), ('{"tags": tags} if tags else {}', 'cell["metadata"]'), ("if name in wanted}", "}"))),
    Shortcut("h4-q3", "pushed only", (('"introduced": sorted(introduced)', '"introduced": []'), ("sorted(unnamed)", "[]"))),
    Shortcut("h4-q4", "all fail", (('"pass" if clean(notebook) == notebook else "fail"', '"fail"'),)),
    Shortcut("h4-q5", "the text of the file", (("any(map(has_key, texts(cell)))", "'pk_' in str(cell)"),)),
    Shortcut("h4-q6", "lines as they are", (("    made = []\n", "    return lines\n"),)),
)  # fmt: skip
