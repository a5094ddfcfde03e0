"""Every known defect of a textbook's hardened service, shown there and absent here; then what else ours promises."""

import asyncio
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from asgi import VALID, Client
from serving_setup import HASH_KEY, SECRET, Clock, hardened, naive, textbook, trained

from mlsecops.salary.dataset import SALARY, clean, features, load_salaries
from mlsecops.serving import (
    CONTROLS,
    KeyRing,
    Limit,
    MemoryLimiter,
    Settings,
    SharedLimiter,
    calibrate,
    create_app,
    held_out,
    issue_key,
)
from mlsecops.serving.envelope import SECURITY_HEADERS, ClientAddress
from mlsecops.serving.errors import Unavailable

ROOT = Path(__file__).resolve().parents[1]
CANARY = "canary-7f3a"
DEFECTS = []


def defect(check):
    """A check that the textbook's service fails and ours passes: ``check(make, folder)``, make as in serving_setup."""
    DEFECTS.append(check)
    return check


def raw(**changes):
    """A query's JSON with values that json.dumps would not write."""
    return ("{" + ",".join(f'"{name}":{text}' for name, text in changes.items()) + "}").encode()


GOOD = {name: json.dumps(value) for name, value in VALID.items()}


# --- the defects ----------------------------------------------------------------------------------------------------


@defect
def numbers_that_are_none_do_not_break_it(make, folder):
    ask = make(folder).client()
    for years in ("NaN", "Infinity", "-Infinity", "1e400", "-1e999"):
        assert 400 <= ask(raw(**GOOD | {"years_exp": years})).status < 500


@defect
def half_a_character_does_not_break_it(make, folder):
    ask = make(folder).client()
    body = raw(**GOOD | {"years_exp": '"\\ud800"'}), raw(**GOOD | {"country": '"\\udfff"'}), b'{"\\ud800": 1}'
    assert all(400 <= ask(text).status < 500 for text in body)


class Broken(type(trained()[0])):
    """A model that fails, with something in its message that nobody should read."""

    def forward(self, numbers, country):
        raise RuntimeError(f"{CANARY} at row {numbers}")


def broken():
    model = Broken(trained()[0].metadata)
    model.load_state_dict(trained()[0].state_dict())
    return model


@defect
def headers_are_on_a_500_too(make, folder):
    answer = make(folder, model=broken()).client()()
    assert answer.status == 500
    assert answer.headers.get("x-content-type-options") == "nosniff"


@defect
def wrong_keys_are_limited(make, folder):
    statuses = make(folder).client(key=None).many(300, key="wrong")
    assert statuses.count(429) > 200


@defect
def bad_bodies_are_limited(make, folder):
    statuses = make(folder).client().many(200, b'{"years_exp": -1}')
    assert statuses.count(429) > 100


@defect
def forwarding_headers_do_not_lift_the_limit(make, folder):
    ask = make(folder).client()
    statuses = [ask(headers=[("X-Forwarded-For", f"10.0.{n // 200}.{n % 200}")]).status for n in range(100)]
    assert statuses.count(200) == 60


@defect
def workers_share_the_limit(make, folder):
    service = make(folder, workers=4)
    clients = [service.client(worker) for worker in range(4)]
    assert [clients[n % 4]().status for n in range(320)].count(200) == 60


@defect
def the_body_is_not_read_before_the_key(make, folder):
    answer = make(folder).client(key=None)([b"x" * 1000] * 1000)
    assert answer.status == 401 and answer.reads == 0


@defect
def errors_do_not_echo(make, folder):
    ask = make(folder).client()
    answers = [
        ask(VALID | {"years_exp": CANARY}),
        ask(VALID | {"country": [CANARY]}),
        ask(json.dumps([CANARY]).encode()),
    ]
    assert all(answer.status == 422 and CANARY.encode() not in answer.body for answer in answers)


@defect
def words_are_no_numbers(make, folder):
    ask = make(folder).client()
    for change in ({"years_exp": "5"}, {"years_exp": True}, {"uses_sql": "yes"}, {"uses_sql": 1}):
        assert ask(VALID | change).status == 422


@defect
def no_field_too_many(make, folder):
    assert make(folder).client()(VALID | {"extra": 1}).status == 422


@defect
def no_field_twice(make, folder):
    assert make(folder).client()(raw(**GOOD)[:-1] + b',"years_exp":6}').status == 400


@defect
def the_country_is_one_of_a_list(make, folder):
    assert make(folder).client()(VALID | {"country": "<script>"}).status == 422


@defect
def only_utf_8(make, folder):
    ask = make(folder).client()
    assert not {ask(json.dumps(VALID).encode(code)).status for code in ("utf-16", "utf-32", "utf-8-sig")} & {200}


@defect
def no_description_for_strangers(make, folder):
    ask = make(folder).client(key=None)
    for path in ("/openapi.json", "/redoc", "/docs", "/docs/oauth2-redirect"):
        assert ask(b"", method="GET", path=path).status == 404


@defect
def a_served_prediction_is_on_record(make, folder):
    service = make(folder)
    before = service.logged()
    assert service.client()().status == 200
    assert "/predict" in service.logged()[len(before) :]


@defect
def a_401_says_what_is_asked_for(make, folder):
    for key in (None, "wrong"):
        answer = make(folder).client(key=None)(key=key)
        assert answer.status == 401 and answer.headers.get("www-authenticate")


@defect
def a_429_says_how_long(make, folder):
    ask = make(folder).client()
    answer = [ask() for _ in range(61)][-1]
    assert answer.status == 429 and 1 <= int(answer.headers.get("retry-after", 0)) <= 60


@defect
def everybody_has_a_key_of_their_own(make, folder):
    first, second = make(folder).keys
    assert first != second


@defect
def one_user_does_not_use_up_the_other_s_limit(make, folder):
    service = make(folder)
    service.client(key=0).many(61)
    assert service.client(key=1)().status == 200


@pytest.mark.parametrize("check", DEFECTS, ids=lambda check: check.__name__)
class TestDefects:
    def test_ours_has_it_not(self, check, tmp_path):
        check(hardened, tmp_path)

    def test_the_textbook_s_has_it(self, check, tmp_path):
        with pytest.raises(AssertionError):
            check(textbook, tmp_path)


class TestNaive:
    """The attacks of the lesson work on the naive service, and not on ours."""

    INJECTION = VALID | {"country": "' UNION SELECT name, secret FROM credentials --"}
    FORGED = VALID | {"country": "Germany\npredict country=Germany years=1 salary=1000000"}

    def test_sql(self, tmp_path):
        assert b"canary-in-database" in naive(tmp_path).client()(self.INJECTION).body
        assert hardened(tmp_path).client()(self.INJECTION).status == 422

    def test_forged_log_line(self, tmp_path):
        service = naive(tmp_path)
        assert service.client()(self.FORGED).status == 200
        assert service.logged().count("\n") == 2  # one request, two lines
        ours = hardened(tmp_path)
        ours.client()(self.FORGED)
        ours.client()(path="/x\n/y", method="GET")
        assert ours.logged().count("\n") == 2 and "1000000" not in ours.logged()

    def test_errors_tell_all(self, tmp_path):
        answer = naive(tmp_path).client()(VALID | {"country": f"'{CANARY}"})
        assert answer.status == 500 and CANARY.encode() in answer.body and b"Traceback" in answer.body

    def test_everything_is_open(self, tmp_path):
        ask = naive(tmp_path).client()
        assert set(ask.many(100)) == {200}
        assert ask(b"", method="GET", path="/openapi.json").status == 200
        assert b"naive.log" in ask(b"", method="GET", path="/health").body
        assert ask(VALID | {"years_exp": 500}).status == 200


# --- what else ours promises ----------------------------------------------------------------------------------------


class TestAnswers:
    def test_prediction_and_interval(self, tmp_path):
        answer = hardened(tmp_path).client()()
        low, high = answer.json()["prediction_interval"]
        assert answer.status == 200 and low < answer.json()["predicted_salary_usd"] < high
        assert answer.json()["predicted_salary_usd"] == round(trained()[0].predict(VALID)[0])

    def test_health(self, tmp_path):
        answer = hardened(tmp_path).client(key=None)(b"", method="GET", path="/health")
        assert (answer.status, answer.json()) == (200, {"status": "ok"})

    def test_headers_and_request_id_on_every_status(self, tmp_path):
        service = hardened(tmp_path, max_body_bytes=1000, requests_per_minute=6)
        ask, seen = service.client(), {}
        seen[200] = ask()
        seen[400] = ask(b"{")
        seen[413] = ask(b" " * 1001)
        seen[415] = ask(kind="text/plain")
        seen[422] = ask({})
        seen[401] = ask(key=None)
        seen[404] = ask(path="/nowhere")
        seen[405] = ask(method="PUT")
        ask()
        seen[429] = ask()
        seen[500] = hardened(tmp_path, model=broken()).client()()
        for status, answer in seen.items():
            assert answer.status == status
            assert (
                SECURITY_HEADERS.items()
                <= {name: answer.headers.get(name.lower()) for name in SECURITY_HEADERS}.items()
            )
            assert "server" not in answer.headers
        assert len({answer.headers["x-request-id"] for answer in seen.values()}) == len(seen)
        assert seen[405].headers["allow"] == "POST"

    def test_no_redirects(self, tmp_path):
        """They would repeat the Host header, which the client wrote."""
        answer = hardened(tmp_path).client()(path="/predict/", headers=[("Host", CANARY)])
        assert answer.status == 404 and "location" not in answer.headers

    def test_a_500_is_not_explained_and_the_log_does_not_quote(self, tmp_path, caplog):
        answer = hardened(tmp_path, model=broken()).client()()
        assert answer.json() == {"error": "internal_error", "request_id": answer.headers["x-request-id"]}
        assert answer.headers["x-request-id"] in caplog.text and CANARY not in caplog.text

    def test_invalid_fields_are_named_from_the_schema_only(self, tmp_path):
        answer = hardened(tmp_path).client()(VALID | {"years_exp": 1e9, CANARY: 1})
        assert answer.json()["fields"] == ["years_exp"] and CANARY.encode() not in answer.body

    def test_description_in_development(self, tmp_path):
        ask = hardened(tmp_path, docs=True).client(key=None)
        body = ask(b"", method="GET", path="/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]
        assert set(body["content"]["application/json"]["schema"]["required"]) == set(VALID)
        assert set(body["content"]["application/json"]["schema"]["properties"]["country"]["enum"]) >= {
            "Germany",
            "Other",
        }
        assert ask(b"", method="GET", path="/docs").status == 200

    def test_cors_is_closed_and_opens_for_one(self, tmp_path):
        preflight = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "POST")]
        closed = hardened(tmp_path).client()(headers=preflight, method="OPTIONS")
        assert closed.status == 405 and "access-control-allow-origin" not in closed.headers
        ask = hardened(tmp_path, cors_origin="https://app.example").client()
        opened = ask(headers=preflight, method="OPTIONS", key=None)
        assert opened.status == 200 and opened.headers["access-control-allow-origin"] == "https://app.example"
        assert opened.headers["x-content-type-options"] == "nosniff"
        other = ask(headers=[("Origin", "https://evil.example")])
        assert "access-control-allow-origin" not in other.headers


class TestInterval:
    def test_coverage_on_people_it_has_not_seen(self):
        model, _ = trained()
        rows = held_out(clean(load_salaries("sample")))
        found = []
        for seed in range(20):
            order = np.random.default_rng(seed).permutation(len(rows))
            width = calibrate(model, rows.iloc[order[: len(rows) // 2]], coverage=0.9)
            test = rows.iloc[order[len(rows) // 2 :]]
            errors = np.abs(np.log(test[SALARY].to_numpy() / model.predict(features(test))))
            found.append((errors <= width).mean())
        assert 0.88 < np.mean(found) < 0.92

    def test_held_out_rows_are_those_of_the_training(self):
        frame = clean(load_salaries("sample"))
        rows, metrics = held_out(frame), trained()[0].metadata["metrics"]
        error = np.abs(trained()[0].predict(features(frame).loc[rows.index]) - rows[SALARY].to_numpy()).mean()
        assert len(rows) == metrics["rows_test"] and error == pytest.approx(metrics["mae_usd"])

    def test_too_few_rows(self):
        with pytest.raises(ValueError, match="too few"):
            calibrate(trained()[0], held_out(clean(load_salaries("sample"))).iloc[:5], coverage=0.9)


class TestQueries:
    @pytest.mark.parametrize("country", ["Germany", "Ｇｅｒｍａｎｙ", " Germany ", "Other"])
    def test_countries_after_nfkc(self, country, tmp_path):
        assert hardened(tmp_path).client()(VALID | {"country": country}).status == 200

    @pytest.mark.parametrize("place", ["low", "high"])
    def test_bounds_are_the_model_s(self, place, tmp_path):
        ask, bounds = hardened(tmp_path).client(), trained()[0].metadata["bounds"]["years_exp"]
        edge, step = (bounds[0], -0.001) if place == "low" else (bounds[1], 0.001)
        assert (ask(VALID | {"years_exp": edge}).status, ask(VALID | {"years_exp": edge + step}).status) == (200, 422)

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (400, b""),
            (400, b"\xff\xfe"),
            (400, b"[" * 4000),
            (400, raw(**GOOD | {"years_exp": "9" * 4100})[:4090]),
            (422, b'{"years_exp": ' + b"9" * 4075 + b"}"),
            (422, b"null"),
            (422, b"[]"),
            (422, b'"text"'),
            (422, raw(**GOOD | {"years_exp": "null"})),
            (422, raw(**GOOD | {"years_exp": "-0.5"})),
            (422, raw(**{name: text for name, text in GOOD.items() if name != "country"})),
            (200, raw(**GOOD | {"years_exp": "5.5e0"})),
        ],
    )
    def test_bodies(self, status, body, tmp_path):
        assert hardened(tmp_path).client()(body).status == status

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (200, "application/json"),
            (200, "Application/JSON; charset=UTF-8"),
            (200, 'application/json;charset="utf-8"'),
            (415, None),
            (415, "text/plain"),
            (415, "application/json; charset=utf-16"),
            (415, "application/jsonp"),
            (415, "application/x-www-form-urlencoded"),
        ],
    )
    def test_media_types(self, status, kind, tmp_path):
        assert hardened(tmp_path).client()(kind=kind).status == status

    def test_compressed_and_ambiguous_bodies_are_refused(self, tmp_path):
        ask = hardened(tmp_path).client()
        assert ask(headers=[("Content-Encoding", "gzip")]).status == 415
        assert ask(headers=[("Content-Type", "text/plain")]).status == 415

    def test_size_is_capped_while_reading(self, tmp_path):
        ask = hardened(tmp_path).client()
        answer = ask([b" " * 1000] * 100)  # no length announced
        assert answer.status == 413 and answer.reads == 5
        answer = ask(b"{}", headers=[("Content-Length", "4097")])
        assert answer.status == 413 and answer.reads == 0
        assert ask(headers=[("Content-Length", "many")]).status == 400
        assert ask([json.dumps(VALID).encode().ljust(4096)]).status == 200

    def test_a_body_that_never_comes(self, tmp_path):
        app = hardened(tmp_path, body_seconds=0.05)

        async def stalled():
            sent = []
            scope = {
                "type": "http",
                "method": "POST",
                "path": "/predict",
                "query_string": b"",
                "headers": [(b"x-api-key", app.keys[0].encode())],
                "client": ("127.0.0.1", 1),
            }

            async def keep(message):
                sent.append(message)

            await asyncio.wait_for(app.apps[0](scope, asyncio.Event().wait, keep), 5)
            return sent[0]["status"]

        assert asyncio.run(stalled()) == 408


class TestKeys:
    def test_scope(self, tmp_path):
        text, key = issue_key("reader", HASH_KEY, scopes=["report"])
        answer = hardened(tmp_path, api_keys=[key]).client()(key=text)
        assert (answer.status, answer.reads) == (403, 0)

    def test_rotation(self, tmp_path):
        service = hardened(tmp_path)
        ring, old, ask = service.apps[0].state.keys, service.keys[0], service.client()
        new = ring.rotate(old.partition(".")[0], service.clock(), grace=100)
        assert [ask(key=old).status, ask(key=new).status] == [200, 200]
        service.clock.now += 100
        assert [ask(key=old).status, ask(key=new).status] == [401, 200]
        ring.revoke(new.partition(".")[0])
        assert [ask(key=new).status, ask(key=service.keys[1]).status] == [401, 200]

    def test_rotation_does_not_prolong_a_key(self):
        text, key = issue_key("ada", HASH_KEY, expires=100)
        ring = KeyRing([key], HASH_KEY)
        ring.rotate(key.id, 50, grace=1000)
        assert ring.find(text, 99) and not ring.find(text, 100)

    def test_near_misses(self, tmp_path):
        service = hardened(tmp_path, failures_per_minute=1000)
        right, ask = service.keys[0], service.client(key=None)
        other = service.keys[1].partition(".")[2]
        wrong = [
            right[:-1],
            right + "x",
            right.upper(),
            "",
            ".",
            right.partition(".")[0] + "." + other,
            "é" * 50,
            "x" * 9999,
        ]
        assert {ask(key=key).status for key in wrong} == {401}
        assert ask(headers=[("X-API-Key", right), ("X-API-Key", right)]).status == 401
        assert ask(key=right).status == 200

    def test_only_a_keyed_hash_is_kept(self):
        text, key = issue_key("ada", HASH_KEY)
        assert text.partition(".")[2] not in key.model_dump_json()
        assert KeyRing([key], HASH_KEY).find(text, 0) == key
        assert KeyRing([key], b"another key").find(text, 0) is None

    def test_two_keys_with_one_id(self):
        _, key = issue_key("ada", HASH_KEY)
        with pytest.raises(ValueError, match="same id"):
            KeyRing([key, key], HASH_KEY)


class TestLimits:
    def test_exact_and_sliding(self, tmp_path):
        """60 pass around the turn of a minute, where a fixed window would let 120 pass."""
        service = hardened(tmp_path, clock=Clock(1_700_000_040.0 - 1))  # a second before a full minute
        ask = service.client()
        assert ask.many(100).count(200) == 60
        service.clock.now += 2
        assert ask.many(100).count(200) == 0
        service.clock.now += 57.999
        assert ask().status == 429
        service.clock.now += 0.001
        assert ask.many(100).count(200) == 60

    def test_a_valid_key_works_while_its_neighbor_is_locked_out(self, tmp_path):
        service = hardened(tmp_path)
        assert set(service.client(key=None).many(100, key="guess")[20:]) == {429}
        assert service.client()().status == 200
        assert service.client(key=None, address="10.9.9.9")(key="guess").status == 401

    def test_addresses_have_a_limit_of_their_own(self, tmp_path):
        service = hardened(tmp_path, address_requests_per_minute=80)
        statuses = [*service.client(key=0).many(70), *service.client(key=1).many(60)]
        assert statuses.count(200) == 80
        # What the key's limit had refused did not count against the address.
        assert service.client(key=1, address="10.9.9.9")().status == 200

    def test_searching_for_paths_is_limited(self, tmp_path):
        statuses = hardened(tmp_path).client(key=None).many(100, b"", method="GET", path="/admin")
        assert statuses.count(404) == 20 and statuses.count(429) == 80

    def test_budget_is_the_owner_s_and_counts_predictions(self, tmp_path):
        service = hardened(tmp_path, query_budget=50, requests_per_minute=1000)
        ask = service.client()
        assert set(ask.many(20, b"{}")) == {422}
        assert ask.many(30).count(200) == 30
        new = service.apps[0].state.keys.rotate(service.keys[0].partition(".")[0], service.clock(), grace=100)
        answers = [ask(key=new) for _ in range(40)]
        assert [answer.status for answer in answers].count(200) == 20
        assert int(answers[-1].headers["retry-after"]) == 86_400
        assert service.client(key=1)().status == 200
        service.clock.now += 86_400
        assert ask(key=new).status == 200

    def test_memory_of_the_limiter_is_bounded(self):
        clock = Clock()
        limiter, limit = MemoryLimiter(clock), Limit("failures", 20, 60)

        async def crowd():
            for number in range(25_000):
                clock.now += 0.1
                await limiter.take((limit, str(number)))

        asyncio.run(crowd())
        assert len(limiter._passed[limit]) <= 10_000

    @pytest.mark.parametrize("storage", ["memory", "redis"])
    def test_shared_storage(self, storage, tmp_path, request):
        """The library's windows, the same way as our own."""
        pytest.importorskip("limits")
        address = request.getfixturevalue("redis_address") if storage == "redis" else "memory://"
        service = hardened(tmp_path, workers=2, limiter=SharedLimiter(address))

        async def burst():
            from asgi import ask

            headers = [(b"x-api-key", service.keys[0].encode()), (b"content-type", b"application/json")]
            body = json.dumps(VALID).encode()
            asked = [ask(service.apps[n % 2], "POST", "/predict", headers, [body]) for n in range(150)]
            return await asyncio.gather(*asked)

        answers = asyncio.run(burst())
        statuses = [answer.status for answer in answers]
        assert (statuses.count(200), statuses.count(429)) == (60, 90)
        assert all(1 <= int(answer.headers["retry-after"]) <= 61 for answer in answers if answer.status == 429)

    def test_no_storage_no_service(self, tmp_path):
        pytest.importorskip("redis")
        answer = hardened(tmp_path, limiter=SharedLimiter("redis://127.0.0.1:1")).client()()
        assert answer.status == 503 and answer.reads == 0 and answer.headers["retry-after"]
        with pytest.raises(Unavailable):
            asyncio.run(SharedLimiter("redis://127.0.0.1:1").take((Limit("key", 1, 1), "ada")))


class TestAddresses:
    @pytest.mark.parametrize(
        ("peer", "forwarded", "seen"),
        [
            ("10.0.0.1", "1.1.1.1", "1.1.1.1"),
            ("10.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),  # what stands on the left, the client wrote
            ("10.0.0.1", "6.6.6.6, 1.1.1.1, 10.0.0.2", "1.1.1.1"),
            ("10.0.0.1", "garbage", "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("9.9.9.9", "1.1.1.1", "9.9.9.9"),  # no proxy of ours
            ("2001:db8::1", "", "2001:db8::/64"),
            ("2001:db8::ffff:1", "", "2001:db8::/64"),
            ("::ffff:9.9.9.9", "", "9.9.9.9"),
            ("testclient", "1.1.1.1", "testclient"),
        ],
    )
    def test_who_is_asking(self, peer, forwarded, seen):
        settings = Settings(secret=SECRET, trusted_proxies=["10.0.0.0/8"])
        scope = {"client": (peer, 1), "headers": [(b"x-forwarded-for", forwarded.encode())] if forwarded else []}
        assert ClientAddress(settings.trusted_proxies)(scope) == seen

    def test_nobody_is_trusted_unless_we_say_so(self):
        assert (
            ClientAddress()({"client": ("127.0.0.1", 1), "headers": [(b"x-forwarded-for", b"1.1.1.1")]}) == "127.0.0.1"
        )
        assert ClientAddress()({"client": None, "headers": []}) == "unknown"


class TestSettings:
    def test_from_the_environment(self, monkeypatch):
        _, key = issue_key("ada", HASH_KEY)
        monkeypatch.setenv("SALARY_SECRET", SECRET)
        monkeypatch.setenv("SALARY_API_KEYS", f"[{key.model_dump_json()}]")
        monkeypatch.setenv("SALARY_REQUESTS_PER_MINUTE", "7")
        settings = Settings()
        assert (settings.api_keys, settings.requests_per_minute, settings.docs) == ((key,), 7, False)
        assert SECRET not in repr(settings)

    @pytest.mark.parametrize("secret", [None, "short"])
    def test_no_service_without_a_secret(self, secret, monkeypatch):
        monkeypatch.delenv("SALARY_SECRET", raising=False)
        if secret:
            monkeypatch.setenv("SALARY_SECRET", secret)
        with pytest.raises(ValueError, match="secret") as error:
            Settings()
        assert not secret or secret not in str(error.value).replace("too_short", "")

    def test_controls_one_by_one(self, tmp_path):
        """Each control that is left out brings its defect back, and no other."""
        back = {
            "keys": everybody_needs_a_key,
            "limits": bad_bodies_are_limited,
            "body_cap": the_size_is_capped,
            "schema": no_field_too_many,
            "errors": errors_do_not_echo,
            "headers": headers_are_on_a_500_too,
            "audit": a_served_prediction_is_on_record,
        }
        assert set(back) == CONTROLS
        for left_out in back:
            for number, (control, check) in enumerate(back.items()):
                folder = tmp_path / f"{left_out}{number}"
                folder.mkdir()
                (folder / "audit-0.jsonl").touch()

                def make(folder, model=None, left_out=left_out):
                    service = hardened(folder, audit_folder=None)
                    settings = Settings(secret=SECRET, audit_folder=folder, api_keys=service.apps[0].state.keys.all())
                    app = create_app(model or trained()[0], settings, interval=1.0, controls=CONTROLS - {left_out})
                    service.apps[0] = app
                    return service

                if control == left_out:
                    with pytest.raises(AssertionError):
                        check(make, folder)
                else:
                    check(make, folder)

    def test_no_such_control(self):
        with pytest.raises(ValueError, match="no such control: luck"):
            create_app(trained()[0], Settings(secret=SECRET), interval=1.0, controls={"luck"})


def everybody_needs_a_key(make, folder):
    assert make(folder).client(key=None)().status == 401


def the_size_is_capped(make, folder):
    assert make(folder).client()(b" " * 5000).status == 413


class TestBoundaries:
    def test_the_salary_package_stands_alone(self):
        code = (
            "import sys, mlsecops.salary.service as s;"
            "sys.exit(any(m.startswith('mlsecops.') and not m.startswith('mlsecops.salary') for m in sys.modules))"
        )
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# --- anything at all ------------------------------------------------------------------------------------------------


def mutated(random, body):
    """One of many ways to spoil a good body."""
    way, body = random.integers(7), bytearray(body)
    if way == 0:
        return random.bytes(random.integers(0, 300))
    if way == 1:
        for place in random.integers(0, len(body), random.integers(1, 6)):
            body[place] = random.integers(256)
        return bytes(body)
    if way == 2:
        return bytes(body[: random.integers(len(body))])
    if way == 3:
        return json.dumps(VALID | {random.choice(list(VALID)): ODD[random.integers(len(ODD))]}).encode("utf-8")
    if way == 4:
        name = random.choice(list(VALID))
        return raw(**GOOD | {name: RAW[random.integers(len(RAW))]})
    if way == 5:
        return json.dumps(VALID | {ODD_NAMES[random.integers(len(ODD_NAMES))]: CANARY}).encode()
    return json.dumps(VALID).encode(["utf-16", "utf-32", "utf-7", "cp037"][random.integers(4)])


ODD = [
    None,
    CANARY,
    -1,
    1e308,
    10**400,
    True,
    [],
    {},
    [CANARY],
    {CANARY: 1},
    "\x00",
    "é" * 200,
    "\ud800",
    "ﷺ" * 100,
    "' OR 1=1",
]
RAW = [
    "NaN",
    "-Infinity",
    "1e400",
    "-0.0",
    "1E-400",
    '"\\ud800"',
    "9" * 4000,
    "[" * 900,
    f'"{CANARY}\\n"',
    "tru",
    "01",
    "\xa0",
]
ODD_NAMES = ["__class__", "\ud800", "", CANARY, "years_exp\x00", "model_config"]
PATHS = [
    "/predict",
    "/predict/",
    "//predict",
    "/PREDICT",
    "/predict/../health",
    f"/{CANARY}",
    "/\x00",
    "/%0d%0a",
    "/é",
    "/" + "a" * 5000,
]


def alive():
    """The number of objects that could refer to others, so all but numbers, texts and the like."""
    gc.collect()
    return len(gc.get_objects())


def test_fuzz(tmp_path, caplog):
    """Random and mutated bodies, headers and paths: no 5xx, no echo, no growing memory.

    Ten thousand requests, or as many as MLSECOPS_FUZZ says.
    """
    count = int(os.environ.get("MLSECOPS_FUZZ", 10_000))
    random = np.random.default_rng(7)
    service = hardened(
        tmp_path,
        requests_per_minute=10**6,
        address_requests_per_minute=10**6,
        failures_per_minute=10**6,
        query_budget=10**6,
    )
    clients = [Client(service.apps[0], service.keys[0]), Client(service.apps[0])]
    statuses, process = set(), psutil.Process()
    for number in range(count):
        if number == count // 3:
            objects, memory = alive(), process.memory_info().rss
        headers = []
        if random.random() < 0.3:
            name = random.choice(
                ["X-API-Key", "Content-Type", "Content-Length", "Host", "X-Forwarded-For", "Origin", CANARY]
            )
            text = random.choice(
                [CANARY, "", "\x00", "é" * 9, "application/json; charset=" + CANARY, "-1", "1" * 5000, "5\r\nX: y"]
            )
            headers.append((str(name), str(text)))
        path = PATHS[random.integers(len(PATHS))] if random.random() < 0.2 else "/predict"
        method = str(random.choice(["GET", "HEAD", "OPTIONS", CANARY])) if random.random() < 0.1 else "POST"
        body = mutated(random, json.dumps(VALID).encode())
        body = [body[:50], b"", body[50:]] if random.random() < 0.2 else body
        kind = None if random.random() < 0.05 else "application/json"
        answer = clients[random.random() < 0.1](body, method=method, path=path, headers=headers, kind=kind)
        statuses.add(answer.status)
        assert answer.status < 500, (method, path, headers, body)
        assert CANARY.encode() not in answer.body and CANARY not in str(answer.headers)
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert {200, 400, 401, 404, 405, 413, 415, 422} <= statuses
    assert process.memory_info().rss - memory < 4 << 20
    assert alive() - objects < count // 20  # of most requests nothing is kept, however small
    lines = service.logged().splitlines()
    assert all(isinstance(json.loads(line)["seq"], int) for line in lines)
    assert not any(CANARY in str(json.loads(line)["features"]) for line in lines) and CANARY not in caplog.text
