"""The committed audit log is the one that its script makes, it verifies, and what is said to be in it is in it."""

import gzip
import importlib.util
import json

import pytest

from mlsecops.salary.dataset import DATA
from mlsecops.serving import read_anchor, verify_audit_log

LOG, ANCHOR = DATA / "audit_log.jsonl.gz", DATA / "audit_log.anchor.jsonl"


@pytest.fixture(scope="module")
def incident():
    return json.loads((DATA / "audit_log.incident.json").read_bytes())


@pytest.fixture(scope="module")
def lines():
    return [json.loads(line) for line in gzip.decompress(LOG.read_bytes()).splitlines()]


def test_the_script_writes_what_is_committed():
    spec = importlib.util.spec_from_file_location("make_audit_log", DATA / "make_audit_log.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    made = script.make_files()
    assert made.pop(LOG.name) == gzip.decompress(LOG.read_bytes())
    for name, content in made.items():
        assert content == (DATA / name).read_bytes()


def test_it_verifies_and_a_cut_copy_does_not(incident, tmp_path):
    key, anchor = bytes.fromhex(incident["audit_key"]), read_anchor(ANCHOR)
    check = verify_audit_log(LOG, key, anchor)
    assert check.ok and check.lines == anchor["seq"] + 1
    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"".join(gzip.decompress(LOG.read_bytes()).splitlines(keepends=True)[:-1]))
    assert verify_audit_log(cut, key).ok and "truncated" in verify_audit_log(cut, key, anchor).problem


def test_every_attack_is_in_it(incident, lines):
    assert len(incident["attacks"]) == 6
    for attack in incident["attacks"]:
        own = [
            line
            for line in lines
            if attack["from"] <= line["time"] <= attack["to"]
            and line["address"] in attack["addresses"]
            and (line["key_id"] or "") in [*attack["key_ids"], ""]
        ]
        assert sum(line.get("count", 1) for line in own) == attack["requests"], attack["name"]
        assert {line["key_id"] for line in own} - {None} == set(attack["key_ids"])


def test_honest_traffic_is_the_larger_part_and_is_answered(incident, lines):
    hostile = {key for attack in incident["attacks"] for key in attack["key_ids"]}
    honest = [line for line in lines if line["key_id"] and line["key_id"] not in hostile]
    assert len(honest) > len(lines) / 2
    assert sum(line["status"] == 200 for line in honest) > 0.95 * len(honest)
    assert not {line["key_id"] for line in honest} & hostile
    assert {key for keys in ("batch", "what-if") for key in incident["busy_but_honest"][keys]} <= {
        line["key_id"] for line in honest
    }


def test_nothing_that_was_refused_is_kept(lines):
    assert all((line["features"] is not None) == (line["status"] == 200) for line in lines)


def test_the_script_writes_the_record_that_is_committed():
    spec = importlib.util.spec_from_file_location("make_record", DATA / "make_record.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    made = script.make_files()
    assert made["query_record.csv.gz"] == gzip.decompress((DATA / "query_record.csv.gz").read_bytes())
    assert made["query_record.truth.json"] == (DATA / "query_record.truth.json").read_bytes()


def test_nobody_is_two_people_and_nothing_gives_a_thief_away(incident, lines):
    addresses = [frozenset(attack["addresses"]) for attack in incident["attacks"] if "extraction" in attack["name"]]
    assert sum(map(len, addresses)) == len(frozenset.union(*addresses))
    hostile = {key for attack in incident["attacks"] for key in attack["key_ids"]}
    others = [
        line for line in lines if line["key_id"] not in hostile and (line["features"] or {}).get("country") == "Other"
    ]
    counts = {sum(line["key_id"] == key for line in lines) for key in incident["attacks"][-1]["key_ids"]}
    assert len(others) > 10 and len(counts) > 1
