"""What the course says about the world outside has a source and a date, and is said where it claims to be."""

import os
import warnings
from datetime import UTC, date, datetime, timedelta

import nbformat
import pytest

from authoring import ROOT
from classroom.facts import FACTS, Fact, old


def text_of(name: str) -> str:
    path = ROOT / name
    if path.suffix != ".ipynb":
        return path.read_text(encoding="utf-8")
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)


def silent(facts) -> list[str]:
    """The facts that a place no longer says."""
    places = [(fact.value, name) for fact in facts for name in fact.said_in]
    return [f"{name} does not say: {value}" for value, name in places if value not in text_of(name)]


def test_each_fact_is_said_where_it_is_listed():
    assert silent(FACTS) == []


def test_a_place_that_says_something_else_is_found():
    fact = Fact("x", "the moon is made of cheese", "nobody", date(2026, 1, 1), 1, ("README.md",))
    assert silent([fact]) == ["README.md does not say: the moon is made of cheese"]


@pytest.mark.parametrize("fact", FACTS, ids=[fact.claim for fact in FACTS])
def test_a_fact_is_complete(fact):
    assert fact.claim and fact.value and fact.source and fact.said_in and fact.days > 0
    assert fact.as_of <= datetime.now(UTC).date() + timedelta(1)


def test_old_facts_are_a_warning():
    found = [f"{fact.claim}: looked at on {fact.as_of}" for fact in old(datetime.now(UTC).date())]
    if os.environ.get("MLSECOPS_OLD_FACTS") == "fail":
        assert not found
    for line in found:
        warnings.warn(line, stacklevel=1)


def test_age_is_counted():
    assert old(FACTS[0].as_of) == []
    assert set(old(FACTS[0].as_of + timedelta(5_000))) == set(FACTS)
