"""What the questions of lab H5 share: comparing numbers, and queries of made-up clients."""

from __future__ import annotations

COUNTRIES = "Brazil Canada Chile Egypt France Germany India Japan Kenya Norway Peru Poland Spain Turkey Vietnam".split()


def close(value, wanted: float | None, tolerance: float = 1e-6) -> bool:
    """Whether an answer is the number that is due (up to a millionth of it), or None where None is."""
    if wanted is None or value is None:
        return value is wanted
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value - wanted) <= tolerance * max(1.0, abs(wanted))


def a_query(r, flags: list[str]) -> dict:
    """What one person would ask about: years, a country, and flags."""
    return {"years": r.randint(0, 40), "country": r.choice(COUNTRIES)} | {name: r.random() < 0.5 for name in flags}


def other(r, query: dict, count: int) -> dict:
    """The query with exactly so many fields changed."""
    changed = dict(query)
    for name in r.sample(sorted(query), count):
        if name == "years":
            changed[name] = (query[name] + r.randint(1, 40)) % 41
        elif name == "country":
            changed[name] = r.choice([country for country in COUNTRIES if country != query[name]])
        else:
            changed[name] = not query[name]
    return changed
