"""The scanner's verdicts on the corpus: nothing malicious is safe, data is. Open and set-aside parts apart."""

import pytest
from corpus.files import written

from mlsecops.artifacts import scan_file

# Benign files that the scanner does not call safe, each with the reason why that is accepted.
FALSE_ALARMS = {
    "pandas_frames/mixed/to_pickle.tar": "only pandas opens a tar for a frame; unknown, with the advice to unpack it",
}
MALICIOUS = {
    "open": "malicious",
    "set aside": "malicious_heldout",
    "written against the source": "malicious_whitebox",
}
BENIGN = {"open": "benign", "set aside": "benign_heldout"}


def verdicts(module: str, attribute: str = "CORPUS") -> dict[str, str]:
    return {name: scan_file(path).verdict for name, path in written(module, attribute).items()}


@pytest.mark.parametrize("part", MALICIOUS)
def test_no_malicious_file_is_safe(part):
    found = verdicts(MALICIOUS[part])
    assert set(found.values()) <= {"safe", "dangerous", "unknown"}
    missed = [name for name, verdict in found.items() if verdict == "safe"]
    assert not missed, f"{len(missed)} of {len(found)} missed"


@pytest.mark.parametrize("part", BENIGN)
def test_data_only_files_are_safe(part):
    found = verdicts(BENIGN[part])
    flagged = {name: verdict for name, verdict in found.items() if verdict != "safe"}
    assert not set(flagged) - set(FALSE_ALARMS), flagged
    assert len(flagged) <= 0.05 * len(found)


def test_files_that_carry_code_by_design_are_refused():
    assert "safe" not in verdicts("benign", "REFUSED").values()


@pytest.mark.parametrize("part", MALICIOUS)
def test_a_verdict_comes_with_its_reason(part):
    for path in written(MALICIOUS[part]).values():
        report = scan_file(path)
        assert report.findings, path
        assert all(finding.rule and finding.detail for finding in report.findings), path
