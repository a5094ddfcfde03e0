"""The salary data: what the sample looks like, and that no byte is parsed before its hash matches."""

import hashlib
import http.server
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlsecops.salary import dataset
from mlsecops.salary.dataset import SALARY, SURVEY, SURVEY_VARIABLE, clean, features, load_salaries

ROOT = Path(__file__).resolve().parents[1]
REAL = os.environ.get(SURVEY_VARIABLE)
CONTENT = b"ConvertedCompYearly,Country\n" + b"80000,France\n" * 20_000  # stands in for the survey: 260 kB


@pytest.fixture(autouse=True)
def no_local_copy(monkeypatch):
    monkeypatch.delenv(SURVEY_VARIABLE, raising=False)


@pytest.fixture
def folder(tmp_path):
    """A data folder whose manifest describes CONTENT as the survey, beside a copy of the sample."""
    folder = tmp_path / "data"
    shutil.copytree(dataset.DATA, folder)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"][SURVEY].update(sha256=hashlib.sha256(CONTENT).hexdigest(), bytes=len(CONTENT))
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


class Server:
    """A loopback web server in place of the public address; counts how often it was asked."""

    def __init__(self, body, announced=None, status=200):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked += 1
                self.send_response(status)
                self.send_header("Content-Length", str(len(body) if announced is None else announced))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.asked = 0
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/survey.csv"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def no_parsing(monkeypatch):
    def parsed(*_, **__):
        raise AssertionError("parsed before its hash was checked")

    monkeypatch.setattr(pd, "read_csv", parsed)


def fetch(server, folder, tmp_path):
    return load_salaries("survey", folder=folder, address=server.address, cache=tmp_path / "cache", timeout=5)


# What the sample looks like


def test_the_generator_writes_the_committed_bytes():
    spec = importlib.util.spec_from_file_location("make_salaries", dataset.DATA / "make_salaries.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    content = generator.csv_bytes(generator.make_rows())
    entry = dataset.manifest_entry("salaries.csv")
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    assert len(content) == entry["bytes"]
    assert b"\r" not in content
    assert generator.csv_bytes(generator.make_rows(seed=1)) != content


def test_every_file_in_the_manifest_is_the_one_described():
    for name, entry in json.loads((dataset.DATA / "manifest.json").read_bytes())["files"].items():
        assert {"sha256", "bytes", "license", "made_by", "columns"} <= set(entry), name
        if name != SURVEY:
            assert len(dataset.read_checked(dataset.DATA / name, entry["sha256"])) == entry["bytes"]


def test_sample_has_the_columns_of_the_survey_and_ai_use():
    frame = load_salaries("sample")
    assert list(frame) == list(dataset.manifest_entry("salaries.csv")["columns"])
    assert set(frame) - set(dataset.manifest_entry(SURVEY)["columns"]) == {"AISelect"}
    assert len(frame) >= 8_000
    assert frame["ResponseId"].is_unique


# The survey's figures, as its curators' file gives them (15,000 rows).
@pytest.mark.parametrize(
    ("quantile", "usd", "tolerance"),
    [
        (0.01, 5_900, 0.45),
        (0.05, 11_700, 0.45),
        (0.25, 46_400, 0.12),
        (0.50, 80_300, 0.08),
        (0.75, 125_300, 0.08),
        (0.95, 235_000, 0.08),
        (0.99, 403_000, 0.12),
    ],
)
def test_sample_salaries_are_spread_like_the_survey(quantile, usd, tolerance):
    assert load_salaries("sample")[SALARY].quantile(quantile) == pytest.approx(usd, rel=tolerance)


def test_sample_people_are_mixed_like_the_survey():
    frame = load_salaries("sample")
    years = frame["YearsCode"].quantile([0.05, 0.25, 0.5, 0.75, 0.95])
    assert list(years) == pytest.approx([5, 10, 15, 25, 40], abs=1)
    shares = frame["Country"].value_counts(normalize=True)
    survey = {"United States of America": 3_444, "Germany": 1_460, "France": 696, "India": 614, "Canada": 591}
    for country, rows in survey.items():
        assert shares[country] == pytest.approx(rows / 15_000, abs=0.008), country
    uses = features(frame).mean(numeric_only=True)
    assert uses["uses_python"] == pytest.approx(0.54, abs=0.02)
    assert uses["uses_sql"] == pytest.approx(0.58, abs=0.02)
    assert uses["uses_js"] == pytest.approx(0.63, abs=0.02)
    answered = frame["AISelect"].dropna()
    assert answered.str.startswith("Yes").mean() == pytest.approx(0.785, abs=0.02)


def test_sample_pays_by_country_like_the_survey():
    log_salary = np.log(clean(load_salaries("sample")).set_index("Country")[SALARY])
    typical = np.exp(log_salary.groupby(level=0).mean())
    for country, usd in {"United States of America": 137_000, "Germany": 76_000, "India": 23_000}.items():
        assert typical[country] == pytest.approx(usd, rel=0.1), country


# Cleaning and features


def test_cleaning_takes_the_planted_mistakes_and_little_else():
    frame = load_salaries("sample")
    kept = clean(frame)
    assert (frame[SALARY] < 5_000).sum() >= 3
    assert (frame[SALARY] > 600_000).sum() >= 10
    assert kept[SALARY].between(5_000, 600_000).all()
    assert 0.98 < len(kept) / len(frame) < 0.995
    assert kept.attrs["sha256"] == dataset.manifest_entry("salaries.csv")["sha256"]


def test_cleaning_fences():
    salary = [4_999, 5_000, 20_000, 20_000, 30_000, 30_000, 60_000, 60_001, np.nan]  # quartiles 16,250 … 37,500 USD
    frame = pd.DataFrame({SALARY: salary})
    low, high = 5_000, 37_500.25 + 3 * (37_500.25 - 16_250)
    assert list(clean(frame)[SALARY]) == [value for value in salary if low <= value <= high]
    assert list(clean(pd.DataFrame({SALARY: [1e5, 5e5, 6e5, 6.1e5]}))[SALARY]) == [1e5, 5e5, 6e5]
    narrow = pd.DataFrame({SALARY: [1e5, 1e5 + 1, 1e5 + 2, 1e5 + 3, 2e5, 9e4]})
    assert list(clean(narrow)[SALARY]) == [1e5, 1e5 + 1, 1e5 + 2, 1e5 + 3]


@pytest.mark.parametrize(
    ("languages", "python", "sql", "javascript"),
    [
        ("Python;SQL;JavaScript", True, True, True),
        ("MicroPython;PL/SQL;NoSQL;TypeScript", False, False, False),
        ("Java", False, False, False),
        ("C; Python ;Rust", True, False, False),
        (None, False, False, False),
    ],
)
def test_languages_are_matched_as_whole_names(languages, python, sql, javascript):
    frame = pd.DataFrame({"LanguageHaveWorkedWith": [languages, "C"], "YearsCode": [5.0, 7.0], "Country": "Peru"})
    row = features(frame).iloc[0]
    assert (row["uses_python"], row["uses_sql"], row["uses_js"]) == (python, sql, javascript)


def test_features_of_rows():
    frame = pd.DataFrame(
        {
            "LanguageHaveWorkedWith": ["SQL", "SQL", "SQL"],
            "YearsCode": [4.0, None, 10.0],
            "Country": ["Peru", "Chile", "Peru"],
            "AISelect": ["Yes, I use AI tools daily", "No, but I plan to soon", None],
        },
        index=[7, 3, 5],
    )
    rows = features(frame)
    assert list(rows) == ["years_exp", "uses_python", "uses_sql", "uses_js", "uses_ai", "country"]
    assert list(rows.index) == [7, 3, 5]
    assert list(rows["years_exp"]) == [4.0, 7.0, 10.0]
    assert list(rows["uses_ai"]) == [True, False, False]
    assert "uses_ai" not in features(frame.drop(columns="AISelect"))


# Bad input on disk


def test_tampered_sample_is_refused_unparsed(folder, no_parsing):
    content = bytearray((folder / "salaries.csv").read_bytes())
    content[100_000] ^= 1
    (folder / "salaries.csv").write_bytes(content)
    expected = dataset.manifest_entry("salaries.csv")["sha256"][:12]
    with pytest.raises(dataset.TamperedDataError, match=expected) as refusal:
        load_salaries("sample", folder=folder)
    assert hashlib.sha256(content).hexdigest()[:12] in str(refusal.value)


def test_missing_files_are_named(folder):
    (folder / "salaries.csv").unlink()
    with pytest.raises(dataset.MissingDataError, match=r"salaries\.csv"):
        load_salaries("sample", folder=folder)
    for text in ("{", "[]", '{"files": {}}', '{"files": {"salaries.csv": {}}}'):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(dataset.MissingDataError, match=r"manifest\.json"):
            load_salaries("sample", folder=folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(dataset.MissingDataError, match=r"manifest\.json"):
        load_salaries("sample", folder=folder)


def test_unknown_source_is_refused():
    with pytest.raises(ValueError, match="sample"):
        load_salaries("salaries.csv")


def test_variable_names_a_local_copy_that_is_checked(folder, tmp_path, monkeypatch):
    copy = tmp_path / "copy.csv"
    copy.write_bytes(CONTENT)
    monkeypatch.setenv(SURVEY_VARIABLE, str(copy))
    assert len(load_salaries(folder=folder)) == len(load_salaries("survey", folder=folder)) == 20_000
    assert len(load_salaries("sample", folder=folder)) == 8_000
    copy.write_bytes(CONTENT.replace(b"80000", b"80001", 1))
    with pytest.raises(dataset.TamperedDataError, match=SURVEY_VARIABLE):
        load_salaries(folder=folder)
    monkeypatch.setenv(SURVEY_VARIABLE, str(tmp_path / "nowhere.csv"))
    with pytest.raises(dataset.MissingDataError, match=SURVEY_VARIABLE):
        load_salaries(folder=folder)


def test_without_the_variable_the_sample_is_used():
    assert "AISelect" in load_salaries()


# Fetching


def test_survey_is_fetched_once_then_kept(folder, tmp_path):
    with Server(CONTENT) as server:
        frame = fetch(server, folder, tmp_path)
        assert len(frame) == 20_000
        assert frame.attrs["sha256"] == hashlib.sha256(CONTENT).hexdigest()
        assert [path.name for path in (tmp_path / "cache").iterdir()] == [SURVEY]
        fetch(server, folder, tmp_path)
        assert server.asked == 1
        (tmp_path / "cache" / SURVEY).write_bytes(CONTENT[:-1])  # a kept copy that went bad is fetched again
        assert len(fetch(server, folder, tmp_path)) == 20_000
        assert server.asked == 2


@pytest.mark.parametrize("body", [CONTENT[:-1] + b" ", CONTENT + b"more", CONTENT * 50, b""])
def test_wrong_bytes_leave_nothing_behind(folder, tmp_path, no_parsing, body):
    with Server(body) as server, pytest.raises(dataset.TamperedDataError, match="expected sha256"):
        fetch(server, folder, tmp_path)
    assert not (tmp_path / "cache").exists()


def test_no_more_is_read_than_is_expected():
    with Server(CONTENT) as server:
        assert len(dataset._download(server.address, 1_000, timeout=5)) == 1_001


def test_truncated_download_leaves_nothing_behind(folder, tmp_path, no_parsing):
    with Server(CONTENT[:100_000], announced=len(CONTENT)) as server:
        with pytest.raises(dataset.DownloadError, match="100,000 of 260,028 bytes"):
            fetch(server, folder, tmp_path)
    assert not (tmp_path / "cache").exists()


def test_no_network_and_bad_addresses_are_one_clear_error(folder, tmp_path):
    with Server(CONTENT) as gone:
        pass
    with pytest.raises(dataset.DownloadError, match="source='sample'"):
        fetch(gone, folder, tmp_path)
    with Server(b"no such page", status=404) as server, pytest.raises(dataset.DownloadError, match="Not Found"):
        fetch(server, folder, tmp_path)
    with pytest.raises(dataset.DownloadError, match="unknown url type"):
        load_salaries("survey", folder=folder, address="nonsense", cache=tmp_path / "cache")


def test_silent_server_times_out(folder, tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(dataset.DownloadError, match="timed out"):
            load_salaries("survey", folder=folder, address=address, cache=tmp_path, timeout=0.2)


def test_full_disk_is_said_and_leaves_nothing_half_written(folder, tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with Server(CONTENT) as server, pytest.raises(dataset.CacheError, match="No space left"):
        fetch(server, folder, tmp_path)
    assert list((tmp_path / "cache").iterdir()) == []


def test_cache_that_cannot_be_a_folder_is_said(folder, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    with Server(CONTENT) as server, pytest.raises(dataset.CacheError, match="cannot be kept"):
        fetch(server, folder, tmp_path)


FETCH = """
import sys
from mlsecops.salary.dataset import load_salaries
frame = load_salaries("survey", folder=sys.argv[1], address=sys.argv[2], cache=sys.argv[3])
assert len(frame) == 20_000
"""


def test_processes_that_fetch_at_once_do_not_disturb_each_other(folder, tmp_path):
    with Server(CONTENT) as server:
        command = [sys.executable, "-c", FETCH, str(folder), server.address, str(tmp_path / "cache")]
        running = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
        for process in running:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [SURVEY]


def test_reading_data_does_not_load_torch():
    code = "import sys, mlsecops.salary; assert 'pandas' not in sys.modules; import mlsecops.salary.dataset; "
    code += "assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.skipif(not REAL, reason=f"needs the real survey file: name it with {SURVEY_VARIABLE}")
def test_real_survey(monkeypatch):
    monkeypatch.setenv(SURVEY_VARIABLE, REAL)
    frame = load_salaries()
    entry = dataset.manifest_entry(SURVEY)
    assert list(frame) == list(entry["columns"])
    assert len(frame) == entry["rows"]
    assert len(clean(frame)) == 14_791
    assert "uses_ai" not in features(frame)
