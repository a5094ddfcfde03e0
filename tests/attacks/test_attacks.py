"""Every attack class of the grader's threat model: no unearned point, and no trace outside the jail."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.attacks.hostile import ALL, ATTACKS, EARNS, STATUS
from tests.light_lab import QUESTIONS, SOLUTION

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux only; elsewhere grading is partial")


def notebook(cells, metadata=None):
    """A notebook file's text."""
    made = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "outputs": [], "execution_count": None, "source": source}
        for n, source in enumerate(cells)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata or {}, "cells": made})


def hashes():
    """Of files that the attacks try to change, and their neighbors."""
    files = [*(ROOT / "grader").glob("*.py"), *(ROOT / "tests").glob("*lab.py"), *(ROOT / "mlsecops").rglob("*.py")]
    files += [*(ROOT / "classroom").rglob("*.py")]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def namespaces_allowed():
    """Whether the system lets this user make namespaces at all; where it does, the jail has to work."""
    code = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10000000 | 0x00020000) != 0)"
    return subprocess.run([sys.executable, "-c", code]).returncode == 0


class Listener:
    """Counts who connects: TCP and UDP on a loopback port, a Unix socket with a path and one without."""

    def __init__(self, place, token):
        self.contacts = []
        self._sockets = [
            socket.create_server(("127.0.0.1", 0)),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            socket.socket(socket.AF_UNIX),
            socket.socket(socket.AF_UNIX),
        ]
        self.port = self._sockets[0].getsockname()[1]
        self._sockets[1].bind(("127.0.0.1", self.port))
        self._sockets[2].bind(str(place / "socket"))
        (place / "socket").chmod(0o777)
        self._sockets[3].bind("\0" + token)
        for sock in self._sockets[2:]:
            sock.listen()
        for number, sock in enumerate(self._sockets):
            threading.Thread(target=self._serve, args=(number, sock), daemon=True).start()

    def _serve(self, number, sock):
        while True:
            if number == 1:
                sock.recv(10)
            else:
                sock.accept()
            self.contacts.append(number)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One grading run over all hostile notebooks, with everything around it that they could touch."""
    place = tmp_path_factory.mktemp("place")
    token, name = f"secret{secrets.token_hex(8)}", f"leftover{secrets.token_hex(8)}"
    (place / "canary.txt").write_text("alive")
    (place / "secret.txt").write_text(token)
    for path in (place, place / "canary.txt", place / "secret.txt"):
        path.chmod(0o777)
    listener = Listener(place, token)
    subs = place / "subs"
    subs.mkdir()
    for attack, cells in ATTACKS.items():
        for mark, value in {"place": place, "root": ROOT, "port": listener.port, "token": token, "name": name}.items():
            cells = [cell.replace("{" + mark + "}", str(value)) for cell in cells]
        (subs / f"{attack}.ipynb").write_text(notebook([c.replace("{{", "{").replace("}}", "}") for c in cells]))
    (subs / "honest.ipynb").write_text(notebook(ALL))
    tampered = {
        "kernelspec": {"name": "evil", "argv": ["touch", str(place / "canary.txt")], "language": "bash"},
        "celltoolbar": "Create Assignment",
        "points": 1000,
        "papermill": {"parameters": {"SEED": 0, "score": 80}},
        "mlsecops": {"score": 80, "student": "honest", "lab": "none"},
    }
    (subs / "tampered-metadata.ipynb").write_text(notebook(["SCORE = POINTS = 80"], tampered))
    for link, target in {"link-file.ipynb": subs / "honest.ipynb", "link-secret.ipynb": place / "secret.txt"}.items():
        (subs / link).symlink_to(target)
    (subs / "link-inside").mkdir()
    (subs / "link-inside" / "lab.ipynb").symlink_to(subs / "honest.ipynb")
    (subs / "link-folder").symlink_to(place, target_is_directory=True)
    os.mkfifo(subs / "pipe.ipynb")
    (subs / '<script>alert("x")<.ipynb').write_text(notebook(["raise ValueError('<script>alert(1)</script>')"]))
    (subs / "=1+1.ipynb").write_text(notebook(ALL[:1]))

    before = hashes()
    subprocess.run([sys.executable, "-m", "grader", "new-key", str(place / "key")], cwd=ROOT, check=True)
    started = time.monotonic()
    # The token in PATH marks every process of this run, whatever it calls itself later.
    environment = {**os.environ, "GRADER_SECRET": token, "PATH": os.environ["PATH"] + os.pathsep + f"/{name}"}
    command = [
        *(sys.executable, "-m", "grader", "grade", str(subs), "--lab", "tests.light_lab", "--out", str(place / "out")),
        *("--key-file", str(place / "key"), "--timeout", "18", "--memory", "512"),
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    seconds = time.monotonic() - started
    if "isolation is partial" in done.stderr and not namespaces_allowed():
        pytest.skip("this machine allows no user namespaces, so grading is partial here")
    assert done.returncode == 0, done.stderr[-2000:]
    time.sleep(3.5)  # long enough for the daemon to do its late deed, if it is alive
    results = {p.stem: json.loads(p.read_text()) for p in (place / "out" / "results").glob("*.json")}
    return {"place": place, "results": results, "before": before, "name": name, "token": token, "seconds": seconds,
            "contacts": listener.contacts, "out": place / "out"}  # fmt: skip


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_no_unearned_point(run, attack):
    result = run["results"][attack]
    earned = {
        q.entry for q, scored in zip(QUESTIONS, result["questions"], strict=True) if scored["score"] == scored["max"]
    }
    assert earned == EARNS.get(attack, set())
    assert result["score"] == 10 * len(earned), "parts of a point that nobody earned"
    assert result["status"] == STATUS.get(attack, result["status"])
    assert result["isolation"] == "full"


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_nothing_seen_that_is_hidden(run, attack):
    text = json.dumps(run["results"][attack])
    assert "LOOT" not in text
    assert run["token"] not in text


def test_honest_work_is_not_disturbed(run):
    assert run["results"]["honest"]["score"] == 10 * len(SOLUTION)
    assert run["results"]["honest"]["status"] == "ok"


def test_canary_lives_and_files_are_unchanged(run):
    assert (run["place"] / "canary.txt").read_text() == "alive"
    assert hashes() == run["before"]
    assert not list(ROOT.rglob("owned_by_a_test.pth"))


def test_nobody_called_home(run):
    assert run["contacts"] == []


def test_no_process_survives(run):
    survivors = []
    for process in psutil.process_iter():
        try:
            text = " ".join(process.cmdline()) + process.environ().get("PATH", "")
        except psutil.Error:
            continue
        if run["name"] in text:
            survivors.append((process.pid, process.name()))
    assert survivors == []


def test_time_is_bounded(run):
    # Some notebooks use up their 18 seconds; the bound is what the limits allow, not what the notebooks try.
    assert run["seconds"] < 120
    assert max(result["seconds"] for result in run["results"].values()) < 18 + 8


def test_links_and_pipes_are_refused(run):
    for student in ("link-file", "link-secret", "link-inside", "link-folder", "pipe"):
        assert (run["results"][student]["status"], run["results"][student]["score"]) == ("malformed", 0), student


def test_metadata_earns_nothing(run):
    assert run["results"]["tampered-metadata"]["score"] == 0


def test_names_and_outputs_cannot_script(run):
    for page in (run["out"] / "feedback").glob("*.html"):
        assert "<script" not in page.read_text().lower()
    rows = (run["out"] / "grades.csv").read_text().splitlines()
    assert any(row.startswith("'=1+1,") for row in rows)
    assert len(rows) == 1 + len(run["results"])


def test_flags_tell_the_instructor(run):
    assert "unasked-lines" in run["results"]["forged-answers"]["flags"]
    assert "flooded-marker" in run["results"]["flooded-marker"]["flags"]
    assert "flooded-marker" in run["results"]["filled-marker"]["flags"]
