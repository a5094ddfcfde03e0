"""No question can be half-cheated: what is nearly the model answer, and what is cheap, earns little.

`tests/mutants/automatic.py` changes a question's model answer in all ways it knows, `tests/mutants/cheap.py` goes
around it. Both find a new lab by themselves.
"""

import random

import pytest

from classroom.questions import labs, question, questions_of
from tests.mutants import automatic, listed, loose, solved
from tests.mutants.automatic import Figures, changes, equivalent, measured, score
from tests.mutants.cheap import shortcuts

QUESTIONS = [asked for lab in labs() for asked in questions_of(lab)]
every_question = pytest.mark.parametrize("asked", QUESTIONS, ids=[asked.id for asked in QUESTIONS])
CHEAP = 0.15  # what a shortcut may earn
SAMPLE = 2  # changes to each model answer that are tried at every change; `--all` tries them all

# Questions that do not hold yet, each with its figures. Any other figure turns the test red, a better one too, so that
# the list only ever shrinks. A question that is not listed has to hold.
# How many changes were tried, how many are worth half or more, and the highest score.
ALIVE = {
    "h1-q1": Figures(12, 1, 1.0),
    "h1-q2": Figures(31, 5, 1.0),
    "h1-q3": Figures(17, 4, 1.0),
    "h1-q5": Figures(58, 13, 0.99),
    "h1-q6": Figures(59, 12, 1.0),
    "h2a-q1": Figures(53, 35, 1.0),
    "h2a-q2": Figures(89, 55, 1.0),
    "h2a-q3": Figures(63, 47, 1.0),
    "h2a-q4": Figures(56, 36, 0.97),
    "h2a-q5": Figures(81, 57, 1.0),
    "h2b-q1": Figures(10, 4, 0.97),
    "h2b-q2": Figures(12, 2, 1.0),
    "h2b-q3": Figures(49, 16, 1.0),
    "h2b-q5": Figures(11, 6, 1.0),
    "h3-q1": Figures(59, 33, 1.0),
    "h3-q2": Figures(69, 32, 0.97),
    "h3-q3": Figures(49, 14, 0.95),
    "h3-q4": Figures(10, 1, 0.73),
    "h3-q5": Figures(42, 6, 1.0),
    "h3-q6": Figures(34, 12, 0.92),
    "h3-q7": Figures(47, 27, 1.0),
    "h3-q8": Figures(79, 48, 1.0),
    "h4-q1": Figures(25, 4, 0.83),
    "h4-q3": Figures(42, 5, 0.89),
    "h4-q4": Figures(19, 1, 0.53),
    "h4-q5": Figures(49, 2, 0.81),
    "h5-q1": Figures(31, 4, 0.94),
    "h5-q2": Figures(51, 8, 0.92),
    "h5-q3": Figures(38, 12, 1.0),
    "h5-q4": Figures(15, 4, 0.96),
    "h5-q5": Figures(87, 10, 1.0),
    "h5-q6": Figures(68, 14, 1.0),
}
# Shortcuts that earn more than they should.
WORTH = {
    "h2a-q3": {"of argument 3 the first item only": 0.86, "of argument 3 the last item only": 0.86},
    "h2a-q4": {"the signature only": 0.32, "all but the digests": 0.84},
    "h2a-q5": {"five searches": 0.64, "all but the audit": 0.97, "all but secrets": 0.86},
    "h2b-q2": {"of argument 2 the first item only": 0.54, "of argument 2 the last item only": 0.54},
    "h2b-q4": {"of argument 2 the first item only": 0.54, "of argument 2 the last item only": 0.54},
    "h3-q1": {"one answer for all that fails": 0.83},
    "h3-q3": {"the key and no size": 0.73},
    "h3-q4": {"no clock": 0.73},
    "h3-q5": {"of argument 1 the first item only": 0.25, "no clock": 0.67},
    "h3-q6": {"the macs only": 0.5},
    "h3-q7": {
        "of argument 1 the first item only": 0.5,
        "of argument 1 the last item only": 0.5,
        "no header is kept back": 0.9,
    },
    "h3-q8": {"the thief only": 0.6},
}
NONE_ALIVE = Figures(0, 0, 0.0)


@pytest.mark.slow
@every_question
def test_what_is_nearly_the_model_answer_is_not_worth_half(asked):
    figures, alive = measured(asked.id, changes(asked.id))
    known = ALIVE.get(asked.id)
    assert figures == known if known else not alive, (figures, alive)


@every_question
def test_a_sample_of_what_is_nearly_the_model_answer(asked):
    every = changes(asked.id)
    figures, alive = measured(asked.id, random.Random(1).sample(every, min(SAMPLE, len(every))), automatic.SEEDS[:1])
    assert figures.alive <= ALIVE.get(asked.id, NONE_ALIVE).alive, alive


@every_question
def test_a_shortcut_is_worth_next_to_nothing(asked):
    ways = dict(shortcuts(asked))
    ways |= {way.name: way.function() for way in listed(asked.lab, "SHORTCUTS") if way.question == asked.id}
    earned = {name: round(score(asked, function, automatic.SEEDS[:1]), 2) for name, function in ways.items()}
    # Leaving out what a right answer never looks at is no shortcut.
    earned = {name: worth for name, worth in earned.items() if worth > CHEAP and not equivalent(asked, ways[name])}
    assert earned == WORTH.get(asked.id, {})


def test_only_questions_that_there_are_stand_in_the_tables():
    assert {*ALIVE, *WORTH} <= {asked.id for asked in QUESTIONS}
    assert all(figures.alive for figures in ALIVE.values()) and all(WORTH.values())


# --- the tools themselves ---


def test_the_model_answer_is_changed_in_each_of_the_known_ways():
    names = {change.name.split(": ")[1] for asked in QUESTIONS for change in changes(asked.id)}
    expected = {"the opposite", "the bound", "without the first side", "without the last side", "one for all", "and/or"}
    expected |= {"without part 1", "without not", "never", "always", "any/all", "the first only", "the last only"}
    expected |= {"off by one", "first item", "last item", "not first item", "not last item", "without the condition"}
    expected |= {"not caught", "swallowed", "an error is True", "left out", "without the call", *loose.WAYS}
    assert expected <= names, expected - names


@every_question
def test_a_change_is_made_once_and_always_the_same(asked):
    sources = [change.source for change in changes(asked.id)]
    assert len(sources) == len(set(sources)) == len({change.name for change in changes(asked.id)}) > 10
    assert [change.source for change in changes.__wrapped__(asked.id)] == sources


def test_an_answer_is_equivalent_by_what_it_does_not_by_its_score():
    asked = question("h2a-q5")
    assert equivalent(asked, solved(asked.id))
    assert equivalent(asked, solved(asked.id, ("if uses is None or", "if not uses or")))
    wide = solved(asked.id, ("or scope in may_write", 'or scope in may_write or scope == "contents-"'))
    assert equivalent(asked, wide), "nothing that is looked at has a scope of this name"
    assert not equivalent(asked, solved(asked.id, ("return permissions ==", "return permissions !=")))
    assert not equivalent(asked, solved(asked.id, ("return findings + (", "return [] and (")))


def test_a_change_that_survives_and_one_that_does_not():
    every = {change.name: change for change in changes("h2b-q4")}
    opposite = next(change for name, change in every.items() if "the opposite" in name)
    figures, alive = measured("h2b-q4", [opposite])
    assert figures == Figures(1, 0, 0.0) and not alive
    figures, alive = measured("h2a-q5", [next(c for c in changes("h2a-q5") if "line 39: never" in c.name)])
    assert figures.alive == 1 and list(alive.values()) == [figures.highest]


@pytest.mark.parametrize(
    ("way", "same", "other"),
    [
        ("any case", ("os:System", "OS:system"), ("os:system", "os:systems")),
        ("prefix", ("v4", "v4.1"), ("v4", "4")),
        ("suffix", ("a/x.csv", "x.csv"), ("x.csv", "x.cs")),
        ("substring", ("system", "os:system()"), ("system", "sister")),
        ("first part", ("os:system", "os:getcwd"), ("os:system", "posix:system")),
        ("last part", ("os:system", "posix:system"), ("os:system", "os:getcwd")),
        ("four characters", ("abcdef", "abcdxx"), ("abcdef", "abcxef")),
        ("length", ("abc", "xyz"), ("abc", "abcd")),
    ],
)
def test_a_loose_comparison_is_loose_in_its_way(way, same, other):
    a, b = same
    assert loose.equal(way, *same) and loose.equal(way, a.encode(), b.encode())
    assert loose.member(way, a, {b}) and loose.subset(way, {a}, [b])
    assert not loose.equal(way, *other) and not loose.member(way, other[0], [other[1]])
    assert loose.equal(way, 3, 3) and not loose.equal(way, 3, 4) and not loose.equal(way, "3", 3)
