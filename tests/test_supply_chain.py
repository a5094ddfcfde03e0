"""What the dependency lesson leans on: names, requirements, the loopback index and pip, audits, signed manifests."""

import os
import subprocess
import sys
import zipfile
from io import BytesIO

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from classroom.drills.advisories import AdvisoryServer
from classroom.drills.packages import PackageIndex, build_wheel, pip_install
from classroom.drills.supply_chain import ADVISORIES, NEIGHBORS, SQUATS
from classroom.lesson import ROOT
from mlsecops.supply_chain import (
    POPULAR,
    bare_environment,
    check_requirements,
    check_workflow,
    read_as_another_account,
    run_audit,
    sign_manifest,
    skeleton,
    startup_lines,
    triage_audit,
    typosquat_of,
    verify_manifest,
)
from mlsecops.supply_chain.access import quiet_environment

# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "original"),
    [
        ("tourch", "torch"),
        ("scikit-learnm", "scikit-learn"),
        ("t0rch", "torch"),
        ("tоrch", "torch"),  # a Cyrillic o
        ("learn-scikit", "scikit-learn"),
        ("Reqeusts", "requests"),
        ("transforrners", "transformers"),
    ],
)
def test_squats_are_traced_to_the_name_they_imitate(name, original):
    assert typosquat_of(name) == original


@pytest.mark.parametrize(
    "name", ["torch", "Scikit_Learn", "scikit.learn", "numpyro", "geopandas", "six", "task", "x", ""]
)
def test_honest_names_pass(name):
    assert typosquat_of(name) is None


def test_both_sides_on_the_lessons_lists():
    assert sum(typosquat_of(name) is None for name in SQUATS) <= 2
    assert sum(typosquat_of(name) is not None for name in NEIGHBORS) <= 6
    assert len(SQUATS) == len(NEIGHBORS) == 48 and not set(SQUATS) & set(NEIGHBORS)


def test_known_names_are_the_callers():
    assert typosquat_of("salary-featurs", ["salary-features"]) == "salary-features"
    assert typosquat_of("torchx", [*POPULAR, "torchx"]) is None
    assert skeleton("Sci-kit_L0arn") == skeleton("scikitloarn")


# --- requirements ---------------------------------------------------------------------------------------------------

GOOD_HASH = "sha256:" + "a" * 64


def problems(tmp_path, text, **options):
    path = tmp_path / "requirements.txt"
    path.write_text(text, encoding="utf-8")
    return [(one.line, one.rule) for one in check_requirements(path, **options)]


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ("numpy==2.4.6", []),
        ("numpy === 2.4.6 ; python_version > '3.10'  # why", []),
        ("numpy", ["unpinned"]),
        ("numpy>=2", ["unpinned"]),
        ("numpy==2.*", ["unpinned"]),
        ("numpy~=2.4.6", ["unpinned"]),
        ("tourch==2.13.0", ["typosquat"]),
        ("--extra-index-url https://example.org/simple", ["extra-index"]),
        ("--extra-index-url=https://example.org/simple", ["extra-index"]),
        ("-f https://example.org/wheels", ["extra-index"]),
        ("--index-url https://example.org/simple", []),
        ("-i http://example.org/simple", ["insecure-index"]),
        ("--trusted-host example.org", ["insecure-index"]),
        ("-i https://me:secret@example.org/simple", ["credential"]),
        ("-i https://me:${TOKEN}@example.org/simple", []),
        ("-e .", ["editable"]),
        ("--editable=git+https://example.org/a.git", ["editable"]),
        ("a @ https://example.org/a-1-py3-none-any.whl", ["direct-url"]),
        ("a @ https://example.org/a-1-py3-none-any.whl#sha256=" + "b" * 64, []),
        ("a @ https://example.org/a-1-py3-none-any.whl#md5=" + "b" * 32, ["direct-url"]),
        ("a @ git+https://example.org/a.git@main", ["direct-url"]),
        ("a @ git+https://example.org/a.git@" + "c" * 40, []),
        ("https://example.org/a-1-py3-none-any.whl", ["direct-url"]),
        ("./wheels/a-1-py3-none-any.whl", ["direct-url"]),
        ("not a requirement", ["invalid"]),
        ("numpy==2.4.6 --hash=md5:abc", ["unhashed"]),
    ],
)
def test_each_rule(tmp_path, line, rules):
    assert problems(tmp_path, f"# first\n\n{line}\n") == [(3, rule) for rule in rules]


def test_one_hash_makes_hashes_compulsory(tmp_path):
    text = f"numpy==2.4.6 --hash={GOOD_HASH}\nscipy==1.17.1\n"
    assert problems(tmp_path, text) == [(2, "unhashed")]
    assert problems(tmp_path, "scipy==1.17.1\n") == []
    assert problems(tmp_path, "scipy==1.17.1\n", require_hashes=True) == [(1, "unhashed")]
    assert problems(tmp_path, "--require-hashes\nscipy==1.17.1\n") == [(2, "unhashed")]


def test_lines_are_counted_as_written(tmp_path):
    text = (
        f"# a\nnumpy==2.4.6 \\\n    --hash={GOOD_HASH} \\\n    --hash={GOOD_HASH}\n\nscipy \\\n  >=1\n# b \\\npandas\n"
    )
    assert problems(tmp_path, text) == [(6, "unhashed"), (6, "unpinned"), (9, "unhashed"), (9, "unpinned")]


def test_includes_are_followed_once_and_stay_inside(tmp_path):
    (tmp_path / "base.txt").write_text("-r requirements.txt\nnumpy\n")
    (tmp_path.parent / "outside.txt").write_text("secret-token-1234\n")
    path = tmp_path / "requirements.txt"
    path.write_text("-r base.txt\n-r ../outside.txt\n-r https://example.org/r.txt\n-r gone.txt\n")
    found = check_requirements(path)
    assert [(one.line, one.rule) for one in found if one.path == str(path)] == [(n, "include") for n in (2, 3, 4)]
    assert [(one.line, one.rule) for one in found if one.path.endswith("base.txt")] == [(2, "unpinned")]
    assert "secret" not in " ".join(map(str, found))


def test_constraints_may_hold_the_pins(tmp_path):
    (tmp_path / "pins.txt").write_text("numpy==2.4.6\nscipy>=1\n")
    assert problems(tmp_path, "-c pins.txt\nnumpy\nscipy\n") == [(3, "unpinned")]


def test_passwords_are_not_repeated(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("--extra-index-url https://me:secret@example.org/simple\na @ https://me:secret@example.org/a.whl\n")
    assert "secret" not in " ".join(map(str, check_requirements(path)))


def test_an_oversized_file_is_refused(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(ValueError, match="larger"):
        check_requirements(path)


# --- the index and pip ----------------------------------------------------------------------------------------------


def test_wheels_are_reproducible_and_complete():
    name, content = build_wheel("Salary.Features", "1.0", {"a.py": "x = 1"}, requires=["numpy>=2"])
    assert name == "salary_features-1.0-py3-none-any.whl"
    assert build_wheel("Salary.Features", "1.0", {"a.py": "x = 1"}, requires=["numpy>=2"])[1] == content
    with zipfile.ZipFile(BytesIO(content)) as archive:
        record = archive.read("salary_features-1.0.dist-info/RECORD").decode()
        assert all(path in record for path in archive.namelist())
        assert "Requires-Dist: numpy>=2" in archive.read("salary_features-1.0.dist-info/METADATA").decode()


def test_pip_sees_our_index_and_no_configuration(tmp_path, monkeypatch):
    config = tmp_path / "pip" / "pip.conf"
    config.parent.mkdir()
    with PackageIndex() as index, PackageIndex() as other:
        other.add("drill", "9.0", {"drill.py": ""})
        digest = index.add("drill", "1.0", {"drill.py": ""})
        config.write_text(f"[global]\nextra-index-url = {other.url}\n")
        monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
        monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path))  # where pip on Linux looks for the machine's configuration
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", other.url)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert pip_install("drill", "--index-url", index.url, target=tmp_path / "a").packages == {"drill": "1.0"}
        assert other.asked == [] and index.asked == ["drill"]
        both = ["--index-url", index.url, "--extra-index-url", other.url]
        assert pip_install("drill", *both, target=tmp_path / "b").packages == {"drill": "9.0"}
        lock = tmp_path / "lock.txt"
        lock.write_text(f"drill==1.0 --hash=sha256:{digest}")
        assert pip_install("-r", lock, *both, target=tmp_path / "c").ok
        index.add("drill", "1.0", {"drill.py": "changed = True"})
        assert "HASHES" in pip_install("-r", lock, "--index-url", index.url, target=tmp_path / "d").refusal
        assert not pip_install("drill", target=tmp_path / "e").ok
    assert set(quiet_environment()) & {"PIP_EXTRA_INDEX_URL", "HTTP_PROXY"} == set()


def test_startup_lines_run_and_are_found(tmp_path):
    python, packages = bare_environment(tmp_path / "env")
    marker = tmp_path / "touched"
    (packages / "quiet.pth").write_text("some/folder\n# import nothing\nimportlib\n")
    assert startup_lines([packages, tmp_path / "gone"]) == []
    (packages / "loud.pth").write_text(f"import os; open({str(marker)!r}, 'w').close()\n")
    assert [name for name, _ in startup_lines([packages])] == ["loud.pth"]
    subprocess.run([python, "-c", "pass"], check=True)
    assert marker.exists()


def test_a_server_ends_with_its_process(tmp_path):
    code = "from classroom.drills.packages import PackageIndex; PackageIndex().start()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30, env=os.environ | {"PYTHONPATH": str(ROOT)})


# --- audits ---------------------------------------------------------------------------------------------------------


def report(*dependencies):
    return {"dependencies": list(dependencies), "fixes": []}


CLEAN = {"name": "numpy", "version": "2.4.6", "vulns": []}
HOLE = {"name": "torch", "version": "2.5.1", "vulns": [{"id": "CVE-2025-32434", "fix_versions": ["2.6.0"]}]}
SKIPPED = {"name": "plots", "skip_reason": "URL requirements cannot be pinned"}


@pytest.mark.parametrize(
    ("given", "exit_code", "expected", "outcome"),
    [
        (report(CLEAN), 0, ["NumPy"], "pass"),
        (report(CLEAN, HOLE), 1, [], "fail"),
        (report(HOLE), 0, [], "fail"),
        (report(HOLE, SKIPPED), 1, [], "fail"),
        (report(CLEAN, SKIPPED), 0, [], "unknown"),
        (report(CLEAN), 1, [], "unknown"),
        (report(CLEAN), 0, ["numpy", "torch"], "unknown"),
        (report(), 0, [], "unknown"),
        (None, 1, [], "unknown"),
        ([], 0, [], "unknown"),
        ({"dependencies": None}, 0, [], "unknown"),
        (report({"name": "numpy", "version": "1"}), 0, [], "unknown"),
        (report("numpy"), 0, [], "unknown"),
    ],
)
def test_three_outcomes(given, exit_code, expected, outcome):
    triage = triage_audit(given, exit_code, expected)
    assert triage.outcome == outcome
    assert bool(triage.reasons) == (outcome != "pass")


@pytest.mark.parametrize(
    ("version", "ids"),
    [
        ("2.5.1", {"CVE-2025-32434", "CVE-2026-24747"}),
        ("2.6.0", {"CVE-2026-24747"}),
        ("2.9.1+cpu", {"CVE-2026-24747"}),
        ("2.10.0", set()),
    ],
)
def test_advisories_match_by_range(version, ids):
    import json

    server = AdvisoryServer(ADVISORIES)
    query = {"package": {"name": "torch", "ecosystem": "PyPI"}, "version": version}
    status, _, body = server.post("/v1/query", json.dumps(query).encode())
    assert status == 200 and {one["id"] for one in json.loads(body).get("vulns", [])} == ids
    assert server.post("/v1/query", b"nonsense")[0] == 400


def test_pip_audit_against_our_advisories(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("litellm==1.82.8\nnumpy==2.4.6\n")
    with AdvisoryServer(ADVISORIES) as server:
        given, code = run_audit("-r", path, "--no-deps", "--disable-pip", service=server.url)
    assert code == 1 and triage_audit(given, code, ["litellm", "numpy"]).outcome == "fail"
    given, code = run_audit("-r", path, "--no-deps", "--disable-pip", service="http://127.0.0.1:9/v1/query")
    assert code == 1 and triage_audit(given, code).outcome == "unknown"


def test_workflow_findings_have_lines():
    found = check_workflow(
        "name: a\non: push\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ github.head_ref }}\n      - uses: actions/checkout@v4\n"
    )
    assert {(one.line, one.rule) for one in found} >= {(8, "template-injection"), (9, "unpinned-uses")}
    with pytest.raises(RuntimeError, match="workflow"):
        check_workflow("jobs: [")


# --- manifest -------------------------------------------------------------------------------------------------------

KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def drive(tmp_path):
    folder = tmp_path / "drive"
    (folder / "deep").mkdir(parents=True)
    (folder / "salaries.csv").write_bytes(b"Germany,70000\n")
    (folder / "deep" / "notes.txt").write_bytes(b"USD\n")
    return folder


def differences(folder, manifest, key=KEY):
    return [(one.path, one.what) for one in verify_manifest(folder, manifest, key.public_key())]


def test_an_untouched_folder_agrees(drive):
    import json

    manifest = sign_manifest(drive, KEY)
    assert differences(drive, manifest) == []
    manifest["files"] = {name: dict(reversed(one.items())) for name, one in reversed(manifest["files"].items())}
    assert differences(drive, json.loads(json.dumps(manifest, indent=3))) == []


def test_each_change_is_named(drive):
    manifest = sign_manifest(drive, KEY)
    (drive / "salaries.csv").write_bytes(b"Germany,70001\n")
    assert differences(drive, manifest) == [("salaries.csv", "changed")]
    (drive / "salaries.csv").write_bytes(b"Germany,70000\n")
    (drive / "deep" / "more.csv").write_bytes(b"")
    assert differences(drive, manifest) == [("deep/more.csv", "extra")]
    (drive / "deep" / "more.csv").unlink()
    (drive / "salaries.csv").rename(drive / "pay.csv")
    assert differences(drive, manifest) == [("pay.csv", "extra"), ("salaries.csv", "missing")]


def test_another_key_or_an_edited_list_is_refused(drive):
    manifest = sign_manifest(drive, KEY)
    assert differences(drive, manifest, Ed25519PrivateKey.generate()) == [(".", "signature")]
    (drive / "salaries.csv").write_bytes(b"Germany,45000\n")
    manifest["files"] = sign_manifest(drive, Ed25519PrivateKey.generate())["files"]
    assert differences(drive, manifest) == [(".", "signature")]


@pytest.mark.parametrize(
    "broken", [{}, {"files": {}}, {"files": {}, "signature": "zz"}, {"files": 3, "signature": ""}, None]
)
def test_a_broken_manifest_is_no_agreement(drive, broken):
    assert differences(drive, broken) == [(".", "signature")]


@pytest.mark.parametrize(
    "name", ["../outside.csv", "/etc/hosts", "a/../../b", "C:\\pay.csv", "a\\b", "c:x", "a//b", ""]
)
def test_names_that_leave_the_folder_are_reported_never_opened(drive, name):
    from mlsecops.supply_chain.manifest import _PURPOSE, _canonical

    (drive.parent / "outside.csv").write_bytes(b"")
    files = sign_manifest(drive, KEY)["files"] | {name: {"bytes": 0, "sha256": "0" * 64}}
    manifest = {"files": files, "signature": KEY.sign(_PURPOSE + _canonical(files)).hex()}
    assert differences(drive, manifest) == [(name, "unsafe name")]


@pytest.mark.skipif(os.name != "posix", reason="symbolic links need a privilege on Windows")
def test_symbolic_links_are_not_followed(drive):
    manifest = sign_manifest(drive, KEY)
    (drive / "salaries.csv").rename(drive.parent / "salaries.csv")
    (drive / "salaries.csv").symlink_to(drive.parent / "salaries.csv")
    assert differences(drive, manifest) == [("salaries.csv", "not a file")]
    with pytest.raises(ValueError, match="regular"):
        sign_manifest(drive, KEY)


# --- access ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="Windows has access lists in place of permission bits")
def test_trying_leaves_the_permissions_as_they_were(tmp_path, monkeypatch):
    path = tmp_path / "pay.csv"
    path.write_text("pay")
    path.chmod(0o640)
    monkeypatch.setattr(os, "getuid", lambda: 1000)  # the way of an ordinary account, also when tests run as root
    read_as_another_account(path)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(os.name != "posix", reason="Windows has access lists in place of permission bits")
def test_permission_bits_decide_who_reads(tmp_path):
    tmp_path.chmod(0o755)
    path = tmp_path / "pay.csv"
    path.write_text("pay")
    answers = []
    for mode in (0o644, 0o600, 0o640):
        path.chmod(mode)
        answers.append(read_as_another_account(path))
        assert path.stat().st_mode & 0o777 == mode
    assert answers in (["read", "refused", "refused"], ["not tried"] * 3)
