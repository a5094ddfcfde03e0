"""The command line: verdicts with reasons, and the exit codes 0, 1 and 2, of which the worst wins."""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlsecops.__main__ import main

ROOT = Path(__file__).parent.parent


class Print:
    def __reduce__(self):
        return print, ("ran",)


@pytest.fixture
def models(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "good.pkl").write_bytes(pickle.dumps({"w": [1.0]}))
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Print()))
    (tmp_path / "sub" / "odd.onnx").write_bytes(b"\x08\x07")
    return tmp_path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_exit_codes_the_worst_wins(models):
    assert run("scan-model", models / "good.pkl") == 0
    assert run("scan-model", models / "good.pkl", models / "evil.pkl") == 1
    assert run("scan-model", models / "sub") == 1
    assert run("scan-model", models / "nothing.pkl", models / "good.pkl") == 2
    assert run("scan-model", models / "nothing.pkl", models / "evil.pkl") == 2
    (models / "empty").mkdir()
    assert run("scan-model", models / "empty") == 2
    with pytest.raises(SystemExit) as ended:
        run("scan-model")
    assert ended.value.code == 2


def test_table_gives_verdict_and_reason(models, capsys):
    run("scan-model", models)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("dangerous") and line.endswith("evil.pkl") for line in lines)
    assert any("calls-unlisted: it calls builtins.print" in line for line in lines)
    assert lines[-1] == "1 safe, 1 dangerous, 1 unknown"


def test_json_of_a_folder(models, capsys):
    assert run("scan-model", models, "--format", "json") == 1
    rows = json.loads(capsys.readouterr().out)
    assert {Path(row["path"]).name: row["verdict"] for row in rows} == {
        "good.pkl": "safe",
        "evil.pkl": "dangerous",
        "odd.onnx": "unknown",
    }
    assert all(len(row["sha256"]) == 64 for row in rows)


def test_names_from_a_file_cannot_steer_the_terminal(tmp_path, capsys):
    (tmp_path / "m.pkl").write_bytes(b"\x80\x04\x8c\x05a\x1b[2J\x8c\x02b\n\x93.")
    run("scan-model", tmp_path / "m.pkl")
    assert "\x1b" not in capsys.readouterr().out


def test_check_requirements(tmp_path, capsys, monkeypatch):
    problems = {
        "bad.txt": [SimpleNamespace(line=3, rule="unpinned", detail="torch has no version", path="bad.txt")],
        "good.txt": [],
    }

    def answer(path):
        if path.name not in problems:
            raise FileNotFoundError(path)
        return problems[path.name]

    monkeypatch.setitem(sys.modules, "mlsecops.supply_chain", SimpleNamespace(check_requirements=answer))
    assert run("check-requirements", "good.txt") == 0
    assert run("check-requirements", "good.txt", "bad.txt") == 1
    assert "bad.txt:3: unpinned: torch has no version" in capsys.readouterr().out
    assert run("check-requirements", "bad.txt", "missing.txt", "--format", "json") == 2
    assert json.loads(capsys.readouterr().out)[0]["line"] == 3


def test_real_requirements_of_this_course():
    assert run("check-requirements", ROOT / "requirements.txt") in (0, 1)


def test_starts_without_the_large_libraries(models):
    code = (
        "import sys; from mlsecops.__main__ import main; main(['scan-model', sys.argv[1]]);"
        "sys.exit(3 if {'torch', 'numpy', 'pandas', 'joblib'} & sys.modules.keys() else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, models / "good.pkl"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("safe")


def test_a_model_is_trained_and_served(tmp_path, capsys, monkeypatch):
    started = {}
    monkeypatch.setattr(
        "mlsecops.serving.run.serve", lambda folder, **options: started.update(options, folder=folder) or 7
    )
    assert main(["train", str(tmp_path / "model")]) == 0
    assert "R2 0.4" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "model").iterdir()} >= {
        "model.safetensors",
        "metadata.json",
        "interval.json",
    }
    assert main(["serve", "--model", str(tmp_path / "model"), "--port", "0", "--demo"]) == 7
    assert started == {
        "folder": str(tmp_path / "model"), "host": "127.0.0.1", "port": 0, "workers": 1, "tls": False, "demo": True
    }  # fmt: skip


def test_serving_a_folder_without_a_model_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SALARY_SECRET", "x" * 40)
    assert main(["serve", "--model", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("cannot serve: ") and error.count("\n") == 1
