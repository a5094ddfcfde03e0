"""Wrong answers to lab H5."""

from . import Mutant, Shortcut


def top_of_the_asked(quiet, asked, fpr):
    """Flags the busiest and oddest percent of the clients that are to be judged."""
    import numpy as np

    asked = np.array(asked)
    odd = np.abs(asked[:, 2:] - asked[:, 2:].mean(axis=0)).sum(axis=1)
    return (odd >= np.quantile(odd, 1 - fpr)).tolist()


def three_sigma(quiet, asked, fpr):
    """Flags whoever lies more than two standard deviations off in any number."""
    import numpy as np

    quiet, asked = np.array(quiet), np.array(asked)
    return (np.abs(asked - quiet.mean(axis=0)) > 2 * quiet.std(axis=0)).any(axis=1).tolist()


def rule_of_thumb(quiet, windows):
    """Calls a window a drift from a PSI of 0.1 on."""
    import numpy as np

    usual = np.sum(quiet, axis=0).sum(axis=0)

    def psi(window):
        sides = [np.maximum(side, 0.5) / side.sum() for side in (usual, np.sum(window, axis=0))]
        return ((sides[1] - sides[0]) * np.log(sides[1] / sides[0])).sum()

    return ["drift" if psi(window) > 0.1 else "none" for window in windows]


MUTANTS = (
    Mutant(
        "h5-q1",
        "counts instead of shares",
        (("e, a = e / sum(expected), a / sum(actual)", "e, a = e / sum(expected), a / sum(expected)"),),
        0,
        0.5,
        "counts",
    ),
    Mutant(
        "h5-q1",
        "leaves empty bins out",
        (("(a - e) *", "(e > 0.005 and a > 0.005) * (a - e) *"),),
        0,
        0.5,
        "empty-bins",
        seeds=(1, 2),
    ),
    Mutant("h5-q1", "no halves", (("[count or 0.5 for", "[count or 1e-6 for"),), 0, 0.5, "empty-bins"),
    Mutant("h5-q1", "always a number", (("        return None", "        return 0.0"),), 0, 0.5, "no-comparison"),
    Mutant("h5-q2", "every query", ((">= 3", ">= 0"),), 0, 0.5, "counts-all"),
    Mutant("h5-q2", "more than three", ((">= 3", "> 3"),), 0, 0.6, "off-by-one"),
    Mutant("h5-q2", "two are enough", ((">= 3", ">= 2"),), 0, 0.6, "off-by-one"),
    Mutant(
        "h5-q2",
        "against the first",
        (("for pair in pairwise(rows)", "for pair in ((rows[0], r) for r in rows)"),),
        0,
        0.8,
        "not-the-one-before",
        "any-minute",
    ),
    Mutant("h5-q2", "any minute", (('row["time"] // 60', '(row["time"] + 30) // 60'),), 0, 0.6, "any-minute"),
    Mutant("h5-q3", "limit of the asked", top_of_the_asked, 0, 0.3, ""),
    Mutant("h5-q3", "two standard deviations", three_sigma, 0, 0.1, "own-clients"),
    Mutant("h5-q3", "raw means", ((" * np.sqrt(clients[:, :1])", ""),), 0, 0.5, "size"),
    Mutant(
        "h5-q3",
        "one-sided",
        (("np.abs(clients[:, 2:] - center)", "(center - clients[:, 2:])"),),
        0,
        0.5,
        "one-sided",
        None,
    ),
    Mutant("h5-q3", "no pace", (("[off, clients[:, 1]]", "[off]"),), 0, 0.5, "one-number"),
    Mutant(
        "h5-q4", "names what tells thieves", (("auroc(matched[name]", "auroc(thieves[name]"),), 0, 0.5, "good-features"
    ),
    Mutant(
        "h5-q4",
        "one side only",
        (("abs(auroc(matched[name], honest[name]) - 0.5)", "(auroc(matched[name], honest[name]) - 0.5)"),),
        0,
        0.7,
        "one-sided",
    ),
    Mutant("h5-q4", "ties do not count", (("+ 0.5 * (difference == 0)", "+ 0.0"),), 0.2, 0.95, "ties", None),
    Mutant("h5-q5", "drift or probing", (('(1, 1): "both"', '(1, 1): "drift"'),), 0, 0.5, "either-or"),
    Mutant(
        "h5-q5",
        "no drift before probing",
        (("counts.sum(axis=1), counts.sum(axis=0)) / counts.sum() ** 2", "usual[0], usual[1])"),),
        0,
        0.7,
        "drift-is-no-attack",
    ),
    Mutant(
        "h5-q5",
        "probes left in",
        (
            (
                "zip((a, p), usual",
                "zip((counts.sum(axis=1) / counts.sum(), counts.sum(axis=0) / counts.sum()), usual",
            ),
        ),
        0,
        0.95,
        "moved-by-probes",
    ),
    Mutant(
        "h5-q5",
        "fixed limit",
        (
            (
                "limits = 10 + 2 * np.max([fit(window, usual) for window in quiet], axis=0)",
                "limits = np.array([15.0, 30.0])",
            ),
        ),
        0,
        0.65,
        "rule-of-thumb",
    ),
    Mutant("h5-q5", "PSI alone", rule_of_thumb, 0, 0.15, "either-or"),
    Mutant("h5-q6", "offices link", ((" if len(keys) <= 5}", "}"),), 0, 0.9, "offices"),
    Mutant("h5-q6", "one step", (("    while keys != before:", "    for _ in range(1):"),), 0, 0.9, "one-step"),
    Mutant(
        "h5-q6",
        "no strangers",
        (('    return line.get("address") in addresses', "    return False"),),
        0,
        0.9,
        "strangers",
    ),
    Mutant(
        "h5-q6",
        "a summary is one",
        (('line.get("statuses", {str(line["status"]): 1})', '{str(line["status"]): 1}'),),
        0,
        0.9,
        "strangers",
    ),
)

SHORTCUTS = (
    Shortcut("h5-q3", "the fast only", (("[off, clients[:, 1]]", "[clients[:, 1]]"),)),
    Shortcut("h5-q5", "drift only", (('(0, 1): "probing", (1, 1): "both"', '(0, 1): "none", (1, 1): "drift"'),)),
    Shortcut("h5-q6", "the suspects only", (("keys |= set()", "set()"),)),
)
