"""Wrong answers to lab H2a."""

import re

from . import Mutant, Shortcut


def contains(names, known):
    """Flags what contains a known name."""
    return {name: target for name in names for target in known if target in name and name != target}


def resembles(names, known):
    """Flags whatever resembles a known name by a ratio."""
    from rapidfuzz.fuzz import ratio

    listed = set(known)
    return {n: t for n in names for t in known if n not in listed and ratio(n, t) >= 75}


def equals_sign(text, policy):
    """Takes any `==` for a pin and any `--hash` for a hash, line by line."""
    findings = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if "index-url" in line and policy["index"] not in line:
            findings.append([number, "index"])
        elif line and not line.startswith(("#", "-")):
            findings += [[number, "unpinned"]] * ("==" not in line) + [[number, "unhashed"]] * ("--hash" not in line)
    return findings


def red_or_green(report, required, accepted, today):
    """Fails what is listed with vulnerabilities, passes the rest."""
    import json

    found = (
        {d["name"]: d.get("vulns") for d in json.loads(report).get("dependencies", [])} if report.endswith("}") else {}
    )
    return {name: "fail" if found.get(name) else "pass" for name in required}


MUTANTS = (
    Mutant(
        "h2a-q1",
        "edits only",
        ((" or skeleton(name) == skeleton(target):", ":"),),
        0.4,
        0.85,
        "only-edits",
    ),
    Mutant(
        "h2a-q1",
        "does not normalize",
        (("if canonicalize_name(name) in listed:", "if name in known:"),),
        0.5,
        0.95,
        "same-package",
    ),
    Mutant("h2a-q1", "plain Levenshtein", (("import OSA", "import Levenshtein as OSA"),), 0.7, 0.95, "swap"),
    Mutant("h2a-q1", "short names too", (("len(target) >= 5 and ", ""),), 0.5, 0.95, "short-names"),
    Mutant(
        "h2a-q1",
        "compares known names too",
        (
            ("if canonicalize_name(name) in listed:", "if False:"),
            (
                "for target in known:",
                "for target in known:\n"
                "            if canonicalize_name(name) == canonicalize_name(target):\n                continue",
            ),
        ),
        0.6,
        0.97,
        "on-the-list",
    ),
    Mutant("h2a-q1", "contains", contains, 0, 0.1, "contains"),
    Mutant("h2a-q1", "resembles", resembles, 0.4, 0.8, "same-package"),
    Mutant(
        "h2a-q2",
        "line by line",
        (
            ("for number, line in logical_lines(text):", "for number, line in enumerate(text.splitlines(), 1):"),
            ('re.sub(r"(^|\\s)#.*", "", line)', 're.sub(r"(^|\\s)#.*|\\\\\\\\$", "", line)'),
        ),
        0.2,
        0.9,
        "continuation",
    ),
    Mutant("h2a-q2", "equals sign anywhere", equals_sign, 0, 0.7, "continuation"),
    Mutant(
        "h2a-q2",
        "marker for pin",
        (
            (
                'pinned = len(specifiers) == 1 and specifiers[0].operator == "==" and "*" not in specifiers[0].version',
                'pinned = "==" in requirement and "*" not in requirement',
            ),
        ),
        0.7,
        0.99,
        "marker",
    ),
    Mutant(
        "h2a-q2",
        "reads comments",
        (('re.sub(r"(^|\\s)#.*", "", line).strip()', 'line.strip().removeprefix("#")'),),
        0,
        0.9,
        "comment",
    ),
    Mutant("h2a-q2", "stars are pins", ((' and "*" not in specifiers[0].version', ""),), 0.8, 0.99, "wildcard"),
    Mutant("h2a-q2", "any hash", (("sha256:[0-9a-f]{64}(?![0-9a-f])", "\\w+:[0-9a-f]+"),), 0.8, 0.99, "weak-hash"),
    Mutant(
        "h2a-q2",
        "no exceptions",
        (
            (
                'exempt = canonicalize_name(parsed.name) in map(canonicalize_name, policy["hash_not_needed"])',
                "exempt = False",
            ),
        ),
        0.8,
        0.99,
        "exempt",
    ),
    Mutant(
        "h2a-q2",
        "index by prefix",
        (
            (
                'value.strip() != policy["index"]',
                'not value.strip().startswith(policy["index"].removesuffix("/simple"))',
            ),
        ),
        0.8,
        0.99,
        "prefix",
        in_practice=None,
    ),
    Mutant(
        "h2a-q2",
        "no find-links",
        (('("--extra-index-url", "--find-links", "-f")', '("--extra-index-url",)'),),
        0.8,
        0.99,
        "find-links",
        in_practice=None,
    ),
    Mutant(
        "h2a-q2",
        "extra indexes only",
        (('return value.strip() != policy["index"]', "return False"),),
        0.7,
        0.99,
        "prefix",
        in_practice="only-extra",
    ),
    Mutant("h2a-q3", "red or green", red_or_green, 0, 0.4, "skipped-is-clean"),
    Mutant(
        "h2a-q3",
        "skipped is clean",
        (("    if entry.get(", "    if 'skip_reason' in entry:\n        return 'pass'\n    if entry.get("),),
        0.7,
        0.97,
        "skipped-is-clean",
    ),
    Mutant(
        "h2a-q3",
        "missing is clean",
        (('if v in found), "unknown")', 'if v in found), "pass")'),),
        0.4,
        0.9,
        "missing-is-clean",
    ),
    Mutant(
        "h2a-q3",
        "any package",
        ((' and canonicalize_name(rule["package"]) == canonicalize_name(name)', ""),),
        0.8,
        0.98,
        "any-package",
    ),
    Mutant("h2a-q3", "no last day", ((' and today <= rule["until"]', ""),), 0.8, 0.98, "expired"),
    Mutant(
        "h2a-q3",
        "one is enough",
        (('"pass" if all(', '"pass" if not entry["vulns"] or any('),),
        0.8,
        0.98,
        "one-accepted",
    ),
    Mutant(
        "h2a-q3",
        "crashes on a broken report",
        (("except (ValueError, KeyError, TypeError):", "except ZeroDivisionError:"),),
        0.5,
        0.95,
        "broken-is-clean",
    ),
    Mutant(
        "h2a-q3",
        "aliases ignored",
        ((', *vulnerability.get("aliases", [])', ""),),
        0.8,
        0.99,
        "alias",
        in_practice=None,
    ),
    Mutant(
        "h2a-q3",
        "any version",
        (('entry.get("version") != version or ', ""),),
        0.8,
        0.98,
        "other-version",
    ),
    Mutant(
        "h2a-q3",
        "names as they are",
        (('if canonicalize_name(entry["name"]) == canonicalize_name(name)', 'if entry["name"] == name'),),
        0.8,
        0.98,
        "spelling",
    ),
    Mutant(
        "h2a-q3",
        "accepts nothing",
        (("    return any(\n", "    return False and any(\n"),),
        0.7,
        0.97,
        "baseline-ignored",
    ),
    Mutant(
        "h2a-q4",
        "signs a second dump",
        (("verify(signature, manifest)", "verify(signature, json.dumps(json.loads(manifest)).encode())"),),
        0,
        0.1,
        "reserialized",
    ),
    Mutant(
        "h2a-q4",
        "believes the manifest's key",
        (
            (
                "from_public_bytes(public_key)",
                'from_public_bytes(bytes.fromhex(json.loads(manifest).get("public_key", public_key.hex())))',
            ),
        ),
        0.6,
        0.9,
        "key-from-manifest",
    ),
    Mutant(
        "h2a-q4",
        "no signature",
        (("Ed25519PublicKey.from_public_bytes(public_key).verify(signature, manifest)", "pass"),),
        0,
        0.3,
        "unsigned",
    ),
    Mutant(
        "h2a-q4",
        "extra files pass",
        (('    problems += [["extra", path] for path in tree if path not in files]\n', ""),),
        0.5,
        0.9,
        "extra",
    ),
    Mutant(
        "h2a-q4",
        "missing files pass",
        (('[["missing", path] for path in files if path not in tree]', "[]"),),
        0.5,
        0.95,
        "missing",
    ),
    Mutant(
        "h2a-q4",
        "crashes on a short signature",
        (("    try:\n        Ed25519", "    assert len(signature) == 64\n    try:\n        Ed25519"),),
        0.5,
        0.95,
        "crash",
    ),
    Mutant(
        "h2a-q4",
        "any path",
        (
            ('problems += [["path", path]', 'problems += [["path", path] for path in ()] + [["path", path]'),
            ("if not sound(path)]", "if False]"),
        ),
        0.5,
        0.9,
        "traversal",
    ),
    Mutant(
        "h2a-q4",
        "only parent folders",
        (
            (
                'return not set(path.split("/")) & {"", ".", ".."} and not set(path) & set("\\\\:")',
                'return ".." not in path.split("/")',
            ),
        ),
        0.6,
        0.95,
        "traversal",
        in_practice="",
    ),
    Mutant("h2a-q5", "tags are pins", (('r"@[0-9a-f]{40}"', 'r"@(v\\d+|[0-9a-f]{40})"'),), 0.6, 0.98, "tags-are-pins"),
    Mutant(
        "h2a-q5",
        "anything like a commit",
        (
            ("yaml.safe_load(text)", r'yaml.safe_load(re.sub(r"@\S+ +# (\w{40})", r"@\1", text))'),
            ("@[0-9a-f]{40}", "@[0-9a-f]+"),
        ),
        0.6,
        0.98,
        "branch-only",
        in_practice=None,
    ),
    Mutant("h2a-q5", "nothing may write", ((" or scope in may_write", ""),), 0.6, 0.995, "any-write", seeds=(2, 3, 4)),
    Mutant(
        "h2a-q5",
        "the first line of a command",
        (('command = step.get("run", "")', 'command = step.get("run", "").partition("\\n")[0]'),),
        0.6,
        0.98,
        "first-line",
    ),
    Mutant(
        "h2a-q5",
        "own permissions only",
        (('job.get("permissions", workflow.get("permissions"))', 'job.get("permissions")'),),
        0.6,
        0.99,
        "inherited",
    ),
    Mutant(
        "h2a-q5",
        "no permissions is fine",
        (('return permissions == "read-all"', 'return permissions in (None, "read-all")'),),
        0.6,
        0.995,
        "default-permissions",
    ),
    Mutant(
        "h2a-q5",
        "no secret anywhere",
        (('re.search(r"\\$\\{\\{\\s*secrets\\.", command)', '"secrets." in str(step)'),),
        0.6,
        0.98,
        "secrets-anywhere",
    ),
    Mutant(
        "h2a-q5",
        "no title anywhere",
        (
            (
                're.search(r"\\$\\{\\{\\s*github\\.(event\\.|head_ref)", command)',
                '"github.event" in str(step) or "head_ref" in str(step)',
            ),
        ),
        0.6,
        0.98,
        "title-anywhere",
    ),
    Mutant(
        "h2a-q5",
        "audit is mentioned",
        (("return any(", 'return "pip-audit" in step.get("run", "") or any('),),
        0.6,
        0.99,
        "audit-mentioned",
    ),
    Mutant("h2a-q5", "owner by prefix", (('f"{owner}/"', "owner"),), 0.6, 0.99, "prefix"),
)


def greps(text, policy):
    """A search for each rule, line by line, and no YAML."""
    found, job, at = [] if "--strict" in text else [["", "audit"]], "", -1
    for line in text.splitlines():
        if match := re.match(r"  ([\w-]+):$", line):
            job, at = match[1], -1
        at += line.startswith("      - ")
        ours = f"{policy['owner']}/" in line or "./" in line
        if "uses:" in line and at >= 0 and not ours and not re.search("@[0-9a-f]{40}", line):
            found.append([f"{job}/{at}", "unpinned"])
        if "run:" in line and "secrets." in line:
            found.append([f"{job}/{at}", "secret"])
        if "run:" in line and "github." in line and "sha" not in line:
            found.append([f"{job}/{at}", "injection"])
        if "write-all" in line:
            found.append([job, "permissions"])
    return found


SHORTCUTS = (
    Shortcut(
        "h2a-q4", "the signature only", (('    problems = [["missing"', '    return []\n    problems = [["missing"'),)
    ),
    Shortcut(
        "h2a-q4", "all but the digests", (("    for path in files.keys() & tree.keys():", "    for path in ():"),)
    ),
    Shortcut("h2a-q5", "five searches", greps),
    Shortcut("h2a-q5", "all but the audit", (('([] if audited else [["", "audit"]])', "[]"),)),
    Shortcut("h2a-q5", "all but secrets", (('yield "secret"', "pass"),)),
)
