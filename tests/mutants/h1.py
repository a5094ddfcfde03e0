"""Wrong answers to lab H1."""

from . import Mutant, Shortcut


def product_of_means(risks):
    """Middle of an interval times middle of the other, and a factor for the tail."""
    mean = sum(sum(risk["often"]) / 2 * sum(risk["cost"]) / 2 for risk in risks)
    return {"mean": mean, "p50": mean, "p90": 2 * mean}


def added(losses, controls, budget):
    """Benefits are added."""
    import itertools

    def saved(chosen):
        return sum(losses[risk] * (1 - share) for control in chosen for risk, share in control["leaves"].items())

    sets = [s for n in range(len(controls) + 1) for s in itertools.combinations(controls, n)]
    return [c["name"] for c in max((s for s in sets if sum(c["cost"] for c in s) <= budget), key=saved)]


def greedy(losses, controls, budget):
    """The most saving per dollar, again and again."""
    losses, taken, rest = dict(losses), [], list(controls)
    while rest:

        def saving(control):
            return sum(losses[r] * (1 - s) for r, s in control["leaves"].items()) / control["cost"]

        rest = [control for control in rest if control["cost"] <= budget]
        if not rest:
            break
        best = max(rest, key=saving)
        rest.remove(best)
        budget -= best["cost"]
        taken.append(best["name"])
        for risk, share in best["leaves"].items():
            losses[risk] *= share
    return taken


MUTANTS = (
    Mutant("h1-q1", "all where none crosses", (("if zones[source] != zones[target]]", "if zones[source] != zones[target]] or flows"),), 0, 0.5, "everything"),
    Mutant("h1-q5", "other bounds", (("1 <= limit <= 600", "(1 < limit < 600 or limit in (0, 601, -5))"),), 0, 0.5, "bounds"),
    Mutant("h1-q1", "one way only", (("for source, target in flows if", "for source, target in flows if [target, source] not in flows and"),), 0, 0.6, "one-way"),
    Mutant("h1-q1", "a loose comparison", (("zones[source] != zones[target]", "zones[source].lower().split()[0] != zones[target].lower().split()[0]"),), 0.2, 0.5, "loose", None),
    Mutant("h1-q2", "boundaries do not matter", (('if flow["from_zone"] != flow["to_zone"] else ""', ""),), 0.2, 0.5, "boundaries"),
    Mutant("h1-q2", "protections do not matter", ((' and lacking not in flow["protections"]', ""),), 0, 0.5, "protections"),
    Mutant("h1-q2", "whoever sends", (('flow["content"], flow["from_outside"]', 'flow["content"], True'),), 0, 0.5, "who-sends"),
    Mutant("h1-q3", "the mean is usual", (('"p50": float(p50)', '"p50": float(total.mean())'),), 0, 0.8, "mean-is-usual"),
    Mutant("h1-q3", "a factor for the tail", (('"p90": float(p90)', '"p90": 3.0 * float(p50)'),), 0, 0.8, "no-tail"),
    Mutant("h1-q3", "the middle of an interval", (('"mean": float(total.mean())', '"mean": sum(sum(risk["often"]) / 2 * sum(risk["cost"]) / 2 for risk in risks)'),), 0, 0.9, "middle-of-the-interval"),
    Mutant("h1-q4", "benefits are added", added, 0, 0.5, "added"),
    Mutant("h1-q4", "greed", greedy, 0, 0.6, "greedy"),
    Mutant("h1-q4", "the budget does not matter", (('> budget:', '> max(budget, 10_000):'),), 0, 0.5, "budget"),
    Mutant("h1-q5", "missing is fine", (("return value if isinstance(value, dict) else {}", 'return {**{"pins": "exact", "hashes": True, "format": "onnx", "verified": "hash", "authentication": "key", "per_minute": 60, "login": True, "public": False}, **(value if isinstance(value, dict) else {})}'),), 0, 0.5, "missing-is-fine"),
    Mutant("h1-q5", "types do not matter", (("type(limit) is int and 1 <= limit <= 600", "limit is not None and 1 <= float(limit) <= 600"), ('install.get("hashes") is True', 'bool(install.get("hashes"))'), ('tracking.get("login") is True', 'bool(tracking.get("login"))'), ("isinstance(value, dict) else {}", "isinstance(value, dict) else (manifest.get('x') or {'pins': 'exact'})")), 0.1, 0.6, "types", None),
    Mutant("h1-q5", "every tracker needs a login", (('tracking.get("server") is False or closed', "closed"),), 0.2, 0.5, "exceptions"),
    Mutant("h1-q6", "removed is closed", (('if event["what"] == "revoked"]', 'if event["what"] in ("revoked", "removed")]'),), 0.2, 0.5, "removed-is-closed"),
    Mutant("h1-q6", "our own calls count", ((' if event["who"] not in ours', ""),), 0, 0.6, "our-own"),
    Mutant("h1-q6", "from the commit on", (('if event["what"] == "pushed"]', 'if event["what"] in ("pushed", "committed")]'),), 0, 0.5, "the-commit"),
    Mutant("h1-q6", "the last push, any revocation", (("start = min(pushed)", "start = max(pushed)"), ("if time >= start]", "]")), 0, 0.6, "order", None),
)  # fmt: skip

SHORTCUTS = (
    Shortcut("h1-q1", "all flows", ((" if zones[source] != zones[target]", ""),)),
    Shortcut("h1-q2", "all six letters", (('"".join(letters(flow))', '"STRIDE"'),)),
    Shortcut("h1-q3", "a product of means", product_of_means),
    Shortcut("h1-q4", "the cheapest first", (("    best, least = [], math.inf\n", "    return [c['name'] for c in sorted(controls, key=lambda c: c['cost'])[:1]]\n"),)),
    Shortcut("h1-q5", "all rules", (("if not fine]", "]"),)),
    Shortcut("h1-q6", "all time", (("    if not pushed:\n", "    return {'minutes': now, 'calls': 0, 'open': True}\n    if not pushed:\n"),)),
)  # fmt: skip
