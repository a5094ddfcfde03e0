"""The tools of lesson H3's attacker do what the lesson says of them."""

import asyncio
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd

from classroom.drills import serving as drills
from classroom.lesson import serve

PERSON = {"years_exp": 10, "uses_python": True, "country": "Germany"}
ECHO = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, early = b"", scope["path"] == "/early"
    while not early:
        message = await receive()
        body += message.get("body", b"")
        early = not message.get("more_body")
    headers = [(b"x-seen", dict(scope["headers"]).get(b"x-api-key", b"none"))]
    headers += [(b"access-control-allow-origin", b"https://a.example")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


def test_nonsense_is_fourteen_different_things_none_of_them_honest():
    bodies = drills.nonsense(PERSON)
    assert len(bodies) == len(set(map(str, bodies.values()))) == 14
    assert json.dumps(PERSON) not in bodies.values()


def test_ask_sends_what_it_is_given(tmp_path):
    with serve(ECHO, tmp_path) as service:
        target = drills.Target(service)
        answer = drills.ask(target, PERSON, "key")
        assert json.loads(answer.text) == PERSON and answer.headers["X-Seen"] == "key"
        assert drills.ask(target, "raw").text == "raw" and drills.ask(target).text == ""
        assert drills.may_read(target, "https://a.example") and not drills.may_read(target, "https://b.example")
        assert not drills.answers_before_body(target, seconds=0.5)


def test_a_service_that_does_not_wait_for_the_body_is_told_apart(tmp_path):
    with serve(ECHO.replace('scope["path"] == "/early"', "True"), tmp_path) as service:
        assert drills.answers_before_body(drills.Target(service))


def test_the_listener_hears_both_ways_and_changes_nothing(tmp_path):
    with serve(ECHO, tmp_path) as service:
        middle, heard = drills.listen(drills.Target(service))
        assert drills.ask(middle, "secret", "key").text == "secret"
        assert heard.count(b"secret") == 2 and b"key" in heard


def test_the_clock_goes_only_when_told(tmp_path):
    clock = drills.Clock(tmp_path / "now", now=30.0)
    clock.later(5)
    assert float((tmp_path / "now").read_text()) == 35.0
    clock.almost_full_minute()
    assert clock.now % 60 == 59


def test_the_thief_finds_a_model_of_the_form_it_looks_for():
    known = {"countries": ["Other", "A", "B"], "bounds": {"years_exp": [1, 40], "uses_python": [0, 1]}}
    thief, rng = drills.Thief(known), np.random.default_rng(7)

    def salary(people):
        place = people["country"].map({"A": 1.0, "B": 2.0}).fillna(0.0)
        return np.exp(10 + place + people["uses_python"] * 0.3 + people["years_exp"] / 40)

    asked = thief.invent(60, rng)
    assert set(asked["country"].value_counts()) == {20}
    others = pd.concat([thief.invent(60, rng), asked.head(1).assign(country="nowhere")])
    assert np.abs(thief.copy(asked, salary(asked))(others) - np.log(salary(others))).max() < 0.1


def test_call_hands_over_body_key_and_address():
    seen = SimpleNamespace()

    async def app(scope, receive, send):
        seen.scope, seen.message = scope, await receive()
        await send({"type": "http.response.start", "status": 200})

    assert asyncio.run(drills.call(app, b"x", "key", address="192.0.2.1"))[0]["status"] == 200
    assert seen.message["body"] == b"x" and seen.scope["client"][0] == "192.0.2.1"
    assert (b"x-api-key", b"key") in seen.scope["headers"] and seen.scope["method"] == "POST"
    asyncio.run(drills.call(app, path="/health"))
    assert seen.scope["method"] == "GET" and seen.scope["path"] == "/health"
