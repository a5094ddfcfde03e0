"""Write ``audit_log.jsonl.gz``, the anchor it is checked against, and what was done in it; and their manifest entries.

    python data/make_audit_log.py

Two days of the hardened salary service: the real app of `mlsecops.serving`, called in this process on a clock of our
own, under honest traffic and under the attacks of lesson H3. Seeded: the same lines each time. All customers are made
up. The service's secret stands below, so it is none: whoever reads this can check the log and could also rewrite it.
"""

import asyncio
import gzip
import hashlib
import hmac
import json
import random
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from classroom.drills.serving import Thief, call, nonsense  # noqa: E402
from mlsecops.salary.dataset import clean, features, load_salaries  # noqa: E402 - found through the line above
from mlsecops.salary.model import OTHER, train  # noqa: E402
from mlsecops.serving import Settings, create_app, held_out, issue_key, read_anchor, verify_audit_log  # noqa: E402

SEED = 2026
SECRET = "known to every reader of this course, so no secret at all"  # noqa: S105 - as it says
MONDAY = 1_799_020_800.0  # 4 January 2027, 00:00 UTC
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
OFFICE = "198.51.100.7"  # addresses are from the ranges kept for documentation (RFC 5737)
LOG, ANCHOR, INCIDENT = "audit_log.jsonl.gz", "audit_log.anchor.jsonl", "audit_log.incident.json"
COLUMNS = {
    "seq": "number of the line",
    "time": "seconds since 1970, UTC",
    "request_id": "number of the request, hexadecimal",
    "key_id": "API key that was proved, or null",
    "address": "keyed hash of the client's address",
    "method": "HTTP method",
    "path": "HTTP path",
    "status": "HTTP status of the answer",
    "features": "the query as validated, or null where none was answered",
    "previous": "SHA-256 of the line before",
    "mac": "HMAC-SHA256 of this line",
    "event": "absent from a request's own line; strangers: what one address without a key did in the rest of a minute",
    "count": "how many requests such a line stands for",
    "first, last": "when the first and the last of them came",
    "statuses": "how many of them had which status",
    "paths": "how many different paths they asked for, up to 32",
}


class Traffic:
    """Collects requests as ``(time, address, owner, path, body)``; ``attacks`` notes which of them belong to what."""

    def __init__(self, metadata, people):
        self.rng, self.thief = np.random.default_rng(SEED), Thief(metadata)
        self.people, self.requests, self.attacks, self.addresses = people, [], [], {}

    def ask(self, time, address, owner, query):
        """One prediction asked for; ``query`` a dict, or bytes as they are."""
        body = query if isinstance(query, bytes) else json.dumps(query).encode()
        self.requests.append((time, address, owner, "/predict", body))

    def somebody(self):
        """One honest query: a person of the survey sample."""
        return dict(self.people[self.rng.integers(len(self.people))])

    def address(self, owner):
        """An address of an owner's own, the same each time."""
        return self.addresses.setdefault(owner, f"192.0.2.{100 + len(self.addresses)}")

    def attack(self, name, make):
        """Let ``make()`` add its requests and note them under ``name``."""
        first = len(self.requests)
        make()
        own = self.requests[first:]
        self.attacks.append((name, own))

    def honest(self):
        """Two working days: people at their desks, a few who play with one field, one nightly batch, typing errors."""
        for day in range(2):
            start = MONDAY + day * DAY
            for number in range(36):
                address = OFFICE if number < 14 else f"203.0.113.{number}"
                zone = 12 * HOUR if number > 31 else 0  # four of them sit on the other side of the world
                for moment in self.rng.uniform(8 * HOUR, 18 * HOUR, self.rng.integers(4, 22)):
                    self.ask(start + (moment + zone) % DAY, address, f"person-{number}", self.somebody())
            for number in range(3):
                moment, base = start + self.rng.uniform(9, 16) * HOUR, self.somebody()
                for years in range(1, 41):
                    moment += self.rng.exponential(20)
                    self.ask(
                        moment, f"203.0.113.{100 + number}", f"what-if-{number}", base | {"years_exp": float(years)}
                    )
            for row in range(250):
                self.ask(start + 2 * HOUR + 2 * row, "203.0.113.200", "batch", self.somebody())
            for moment in self.rng.uniform(8 * HOUR, 18 * HOUR, 25):
                number = self.rng.integers(36)
                address = OFFICE if number < 14 else f"203.0.113.{number}"
                self.ask(start + moment, address, f"person-{number}", self.somebody() | {"country": "Germny"})
            for moment in self.rng.uniform(8 * HOUR, 18 * HOUR, 6):
                self.ask(start + moment, OFFICE, "", self.somebody())  # forgot the key

    def scan(self):
        """Looks for what else there is, without a key."""
        words = "docs openapi.json redoc admin login .env .git/config metrics debug backup.zip wp-login.php v1 status"
        words += " api config model model.pkl train keys users logs internal graphql actuator server-status"
        for number, word in enumerate(words.split()):
            self.requests.append((MONDAY + 3.1 * HOUR + 1.5 * number, "192.0.2.66", "", f"/{word}", None))

    def guess(self):
        """Guesses API keys."""
        for number in range(60):
            self.ask(MONDAY + 3.3 * HOUR + number, "192.0.2.66", f"guess {number}", self.somebody())

    def probe(self):
        """A customer who sends what nobody sends: lesson H3's nonsense, an SQL command, a forged log line."""
        person = {name: True for name in self.people[0]} | {"years_exp": 10, "country": "Germany"}
        odd = [body if isinstance(body, bytes) else body.encode() for body in nonsense(person).values()]
        commands = "x' UNION SELECT name, secret FROM credentials --", "Germany\npredict country=Germany salary=1000000"
        odd += [json.dumps(person | {"country": text}).encode() for text in commands]
        for number, body in enumerate(odd * 3):
            self.ask(MONDAY + 11 * HOUR + 20 * number, "192.0.2.80", "mallory", body)

    def steal(self, owners, count, start, step, jitter=0.0):
        """Asks for about ``count`` invented people, each for one of the owners, every ``step`` seconds."""
        asked = self.thief.invent(count + int(self.rng.integers(-15, 16)), self.rng).to_dict("records")
        for number, query in enumerate(asked):
            owner, moment = self.rng.choice(owners), start + step * number + self.rng.uniform(0, jitter)
            self.ask(moment, self.address(owner), str(owner), query)

    def all(self):
        """Fill in everything and return the requests in the order of time."""
        self.honest()
        self.attack("scan of paths", self.scan)
        self.attack("guessing of keys", self.guess)
        self.attack("probing with nonsense", self.probe)
        self.attack("fast extraction", lambda: self.steal(["mallory"], 400, MONDAY + 13 * HOUR, 0.5))
        self.attack("slow extraction", lambda: self.steal(["trent"], 280, MONDAY + HOUR, 600, jitter=300))
        five = [f"quiet-{number}" for number in range(5)]
        self.attack("extraction by five keys", lambda: self.steal(five, 250, MONDAY + DAY + 10 * HOUR, 55, jitter=50))
        return sorted(self.requests, key=lambda request: request[0])


def write_log(folder):
    """Let the service answer the traffic; leaves log and anchor in ``folder``. Returns what was done to it (dict)."""
    frame = clean(load_salaries("sample"))
    model = train(frame, fast=True)
    people = json.loads(features(held_out(frame)).to_json(orient="records"))
    listed = model.metadata["countries"]
    known = [p | {"country": p["country"] if p["country"] in listed else OTHER} for p in people]
    traffic = Traffic(model.metadata, known)
    requests = traffic.all()
    derived = Settings(secret=SECRET)
    digits = random.Random(SEED)  # noqa: S311 - reproducible on purpose
    with (
        mock.patch("secrets.token_hex", lambda count: digits.randbytes(count).hex()),
        mock.patch("secrets.token_urlsafe", lambda count: digits.randbytes(count).hex()),
    ):
        owners = sorted({owner for _, _, owner, _, _ in requests if owner and " " not in owner})
        issued = {owner: issue_key(owner, derived.derive("api keys")) for owner in owners}
        settings = Settings(
            secret=SECRET,
            api_keys=tuple(key for _, key in issued.values()),
            audit_folder=folder,
            anchor_folder=folder,
        )
        texts = {owner: text for owner, (text, _) in issued.items()}
        asyncio.run(_answer(create_app(model, settings, interval=1.0, clock=lambda: _now[0]), requests, texts))
    ids = {owner: key.id for owner, (_, key) in issued.items()}
    given = [
        *traffic.addresses.values(),
        *{address for _, address, owner, *_ in requests if owner not in traffic.addresses},
    ]
    assert len(set(given)) == len(given) and len(set(ids.values())) == len(ids), "somebody is two people"
    return {
        "audit_key": settings.derive("audit").hex(),
        "attacks": [
            {
                "name": name,
                "from": round(min(moment for moment, *_ in own), 3),
                "to": round(max(moment for moment, *_ in own), 3),
                "requests": len(own),
                "key_ids": sorted({ids[owner] for _, _, owner, _, _ in own if owner in ids}),
                "addresses": sorted({_hashed(address, settings) for _, address, *_ in own}),
            }
            for name, own in traffic.attacks
        ],
        "busy_but_honest": {
            "batch": [ids["batch"]],
            "what-if": [ids[f"what-if-{number}"] for number in range(3)],
            "office address": [_hashed(OFFICE, settings)],
        },
    }


_now = [MONDAY]


async def _answer(app, requests, texts):
    for _now[0], address, owner, path, body in requests:
        key = texts.get(owner, f"{'0' * 8}.{owner}" if owner else None)
        await call(app, body, key, address=address, path=path)
    app.state.record.close()
    app.state.audit_lock.release()


def _hashed(address, settings):
    return hmac.digest(settings.derive("addresses"), address.encode(), "sha256").hex()[:32]


def make_files():
    """Return the three files' contents by name; the log's is checked against the anchor and not yet compressed."""
    with tempfile.TemporaryDirectory() as folder:
        incident = write_log(Path(folder))
        log, anchor = Path(folder) / "audit-0.jsonl", Path(folder) / "anchor-0.jsonl"
        check = verify_audit_log(log, bytes.fromhex(incident["audit_key"]), read_anchor(anchor))
        if not check.ok:
            raise SystemExit(check.problem)
        about = (json.dumps(incident, indent=1) + "\n").encode()
        return {LOG: log.read_bytes(), ANCHOR: anchor.read_bytes(), INCIDENT: about}


def main():
    contents = make_files()
    rows = {LOG: contents[LOG].count(b"\n"), ANCHOR: contents[ANCHOR].count(b"\n")}
    contents[LOG] = gzip.compress(contents[LOG], mtime=0)
    columns = {
        LOG: COLUMNS,
        ANCHOR: {"seq": "number of the line that was the newest", "mac": "its mac"},
        INCIDENT: {
            "audit_key": "checks the log",
            "attacks": "what was done, when, by whom",
            "busy_but_honest": "who was not",
        },
    }
    manifest = HERE / "manifest.json"
    stated = json.loads(manifest.read_bytes())
    for name, content in contents.items():
        (HERE / name).write_bytes(content)
        entry = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        entry |= {"rows": rows[name]} if name in rows else {}
        entry |= {
            "license": "CC0-1.0",
            "made_by": f"python data/make_audit_log.py (seed {SEED}); nobody's real traffic",
        }
        stated["files"][name] = entry | {"columns": columns[name]}
        print(f"{name}: {len(content):,} bytes" + (f", {rows[name]:,} lines" if name in rows else ""))
    manifest.write_bytes((json.dumps(stated, indent=2, ensure_ascii=False) + "\n").encode())


if __name__ == "__main__":
    main()
