"""Warm-up: an address without what opens doors."""

from __future__ import annotations

from classroom.questions import Question
from classroom.questions.exact import exact
from classroom.questions.h4.common import name, text
from classroom.questions.scoring import draws, graded, shuffled

SECRET = ("token", "key", "password", "secret", "api_key")


def _generate(rng, hidden=False):
    r = draws(rng)
    cases, inputs = [], []

    def add(kind, address, due, bad=True):
        inputs.append((address,))
        cases.append({"kind": kind, "due": due, "bad": bad})

    for _ in range(3):
        scheme, host, path = r.choice(["http", "https"]), f"{name(r)}.example", f"/{name(r)}/{name(r)}"
        port, user, word = r.randint(1_000, 9_999), name(r), text(r, 10)
        plain = f"{scheme}://{host}:{port}{path}"
        add("nothing to remove", plain, plain, False)
        add("user and password", f"{scheme}://{user}:{word}@{host}:{port}{path}", plain)
        add("a user alone", f"{scheme}://{user}@{host}{path}", f"{scheme}://{host}{path}")
        query = f"page={r.randint(1, 9)}"
        secret = r.choice(SECRET)
        add("a secret in the query", f"{plain}?{query}&{secret}={word}", f"{plain}?{query}&{secret}=removed")
        loud = secret.upper()
        add("whatever the case", f"{plain}?{loud}={word}&{query}", f"{plain}?{loud}=removed&{query}")
        near = r.choice(["tokens", "keyboard", "monkey", "secretary", "passwords"])
        add("a name that only looks so", f"{plain}?{near}={word}&{query}", f"{plain}?{near}={word}&{query}", False)
        add("no address", r.choice([f"{user}:{word}", host, f"//{host}{path}", "", f"{scheme}://"]), None, False)
        if hidden:
            add("an @ in the password", f"{scheme}://{user}:{word}@{word}@{host}{path}", f"{scheme}://{host}{path}")
            big = host.title()
            add("the host as it was", f"{scheme}://:{word}@{big}{path}", f"{scheme}://{big}{path}")
            add("a fragment", f"{plain}?{query}#{secret}={word}", f"{plain}?{query}")
            add("a database", f"postgresql+psycopg2://{user}:{word}@{host}/pay", f"postgresql+psycopg2://{host}/pay")
            twice = f"{plain}?{secret}={word}&{secret}={user}"
            add("twice", twice, f"{plain}?{secret}=removed&{secret}=removed")
    return shuffled(r, inputs, cases)


@graded
def _judge(answers, truth):
    rules = {
        "the-first-at": ["an @ in the password"],
        "query": ["a secret in the query", "whatever the case", "twice"],
        "inside-a-name": ["a name that only looks so"],
        "no-address": ["no address"],
    }
    return exact(answers, truth, rules)


QUESTION = Question(
    id="h4-q1",
    title="An address without its password",
    entry="sanitize",
    signature="sanitize(address: str) -> str, or None where it is no address",
    points=12,
    minutes=10,
    difficulty=1,
    controls=("tracking-uri", "credentials-source"),
    reread='H4, "4 · Get a key without writing it down"',
    hints=(
        "`urllib.parse.urlsplit` takes an address apart, `urlunsplit` puts it together again.",
        "User and password end at the *last* `@` of the part called `netloc`: `rpartition`.",
        "Skeleton: split; return None without scheme or netloc; cut the netloc; rebuild the query part by part, split "
        "at `&` and at the first `=`; put together with an empty fragment.",
        "Compare the name of a parameter in small letters with the five names as a whole.",
    ),
    generate=_generate,
    judge=_judge,
    misconceptions={
        "the-first-at": "A password may hold an `@`. The host begins after the last one.",
        "query": "A secret in the query is as good as one before the host: names are compared in small letters, and "
        "each parameter is looked at.",
        "inside-a-name": "A name that holds one of the five words is another name: compare it as a whole.",
        "no-address": "Without a scheme or a host it is no address: return None, and no exception.",
    },
)
