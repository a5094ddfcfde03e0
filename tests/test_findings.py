"""What the commands report: the shape of SARIF, fingerprints that outlive a move, hostile names, exit codes."""

import json
from dataclasses import replace

import pytest

from mlsecops.findings import Finding, as_json, as_sarif, plain

ONE = Finding("unpinned", "medium", "app/requirements.txt", "torch may be any version", line=3)


def read(text):
    """A SARIF log's only run, after every property that the standard requires was looked at."""
    log = json.loads(text)
    assert log["version"] == "2.1.0" and log["$schema"].endswith("sarif-schema-2.1.0.json")
    (one,) = log["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    assert all(rule.get("shortDescription", {"text": "x"})["text"] for rule in driver["rules"])
    for result in one["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"].isprintable()
        (location,) = result["locations"]
        place = location["physicalLocation"]
        uri = place["artifactLocation"]["uri"]
        assert uri.isascii() and not uri.startswith("/") and not set(uri) & set(' :\\"<>')
        assert place.get("region", {"startLine": 1})["startLine"] >= 1
        assert result["partialFingerprints"]["mlsecops/v1"]
    prints = [result["partialFingerprints"]["mlsecops/v1"] for result in one["results"]]
    assert len(set(prints)) == len(prints)
    return one


def fingerprint(finding):
    (result,) = read(as_sarif([finding], "tool", {}))["results"]
    return result["partialFingerprints"]["mlsecops/v1"]


def test_sarif_says_rule_level_place_and_message():
    found = [ONE, replace(ONE, rule="odd", severity="high", line=0, cell="c1", where="byte 7", fix="Pin it.")]
    one = read(as_sarif(found, "tool", {"unpinned": "no exact version", "never": ""}, "https://example.org/"))
    assert one["tool"]["driver"] == {
        "name": "tool",
        "informationUri": "https://example.org/",
        "rules": [
            {"id": "unpinned", "shortDescription": {"text": "no exact version"}},
            {"id": "never"},
            {"id": "odd"},
        ],
    }
    first, second = one["results"]
    assert (first["level"], second["level"]) == ("warning", "error")
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "app/requirements.txt"},
        "region": {"startLine": 3},
    }
    assert "region" not in second["locations"][0]["physicalLocation"]
    assert second["message"]["text"] == "torch may be any version (cell c1, byte 7). Pin it."
    assert "informationUri" not in read(as_sarif([], "tool", {}))["tool"]["driver"]


def test_a_fingerprint_outlives_a_move_and_nothing_else():
    same = fingerprint(ONE)
    assert fingerprint(replace(ONE, line=30)) == same
    assert fingerprint(replace(ONE, fix="Pin it.")) == same
    assert fingerprint(replace(ONE, where="a.pkl: byte 4")) == fingerprint(replace(ONE, where="a.pkl: byte 99"))
    others = [
        replace(ONE, **change)
        for change in (
            {"detail": "numpy may be any version"}, {"rule": "unhashed"}, {"path": "requirements.txt"}, {"cell": "c1"},
            {"where": "a.pkl: byte 4"}, {"where": "b.pkl: byte 4"},
        )
    ]  # fmt: skip
    assert len({same, *map(fingerprint, others)}) == len(others) + 1


def test_equal_findings_are_counted():
    results = read(as_sarif([ONE, replace(ONE, line=9), ONE], "tool", {}))["results"]
    prints = [result["partialFingerprints"]["mlsecops/v1"].split(":") for result in results]
    assert [count for _, count in prints] == ["1", "2", "3"] and len({digest for digest, _ in prints}) == 1


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        ("/etc/a b.pkl", "etc/a%20b.pkl"), ("x:y/ä?#%.pkl", "x%3Ay/%C3%A4%3F%23%25.pkl"),
        ("a\x1b[2J\n.pkl", "a%1B%5B2J%0A.pkl"), ("\udcff.pkl", "%FF.pkl"),
    ],
)  # fmt: skip
def test_no_name_breaks_a_report(path, uri):
    odd = Finding("rule\x1b", "low", path, f"{path}\x1b]0;x\x07\u202e", where=path)
    (result,) = read(as_sarif([odd], "tool", {}))["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri
    assert as_json([path]).isascii() and json.loads(as_json([path])) == [path]
    assert plain(path).isprintable()
