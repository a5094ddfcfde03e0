"""The scenes of lesson H4: a weekend in a git repository, a notebook full of leaks, and scanners side by side."""

import http.server
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pandas as pd

from classroom.drills.leaky import heldout
from classroom.drills.leaky.kinds import KINDS, cell, chosen, encoded, notebook, shown, stream
from classroom.lesson import COLORS, show, timing
from mlsecops.leaks import history, notebooks, scan
from mlsecops.tracking import TrackingServer, exposure

FINGERPRINTS = b"the key of the fingerprints of a lesson"
DAYS = {"thursday": "2026-11-19T11:02", "friday": "2026-11-20T16:40", "later": "2026-11-20T17:05"}


class Repository:
    """A git repository in a temporary folder, with a configuration of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.moment = DAYS["thursday"]

    def git(self, *arguments: str, check: bool = True) -> str:
        """Run git and return what it printed. Raises RuntimeError with its message unless ``check`` is False."""
        command = ["git", "-C", str(self.folder), "-c", "user.name=Ann", "-c", "user.email=ann@desk.example"]
        when = {"GIT_AUTHOR_DATE": self.moment, "GIT_COMMITTER_DATE": self.moment}
        path = {"PATH": f"{Path(sys.executable).parent}:{history.environment()['PATH']}"}
        done = subprocess.run(  # noqa: S603 - git, in our own folder
            [*command, "-c", "commit.gpgsign=false", *arguments],
            capture_output=True,
            env=history.environment() | when | path,
        )
        if check and done.returncode:
            raise RuntimeError(done.stderr.decode("utf-8", "replace").strip())
        return (done.stdout + (b"" if check else done.stderr)).decode("utf-8", "replace")

    def write(self, name: str, content: bytes) -> None:
        """Write a file and stage it."""
        (self.folder / name).write_bytes(content)
        self.git("add", "-A")

    def commit(self, words: str, day: str = "thursday") -> str:
        """Commit what is staged; returns the commit's id."""
        self.moment = DAYS.get(day, day)
        self.git("commit", "-q", "--allow-empty", "-m", words)
        return self.git("rev-parse", "HEAD").strip()

    def found(self) -> pd.DataFrame:
        """What `scan-notebook --history` finds in it."""
        rows = [
            {"path": row["path"], "rule": finding["rule"], "commit": finding["commit"][:8]}
            for row in scan.history_rows(self.folder, FINGERPRINTS)
            for finding in row["findings"]
        ]
        return pd.DataFrame(rows, columns=["path", "rule", "commit"])


def analysis(*outputs: dict) -> bytes:
    """The notebook of the story: it loads, connects, and shows a table."""
    return notebook(
        cell("# Salaries, first look", kind="markdown", identifier="title"),
        cell('import os\n\nclient = connect(os.environ["SALARY_API_KEY"])', *outputs[:1], identifier="connect"),
        cell("people.head(3)", *outputs[1:], identifier="people"),
    )


def friday(desk: Path, seed: int = 7):
    """Stage the weekend: a repository in which a key was shown on Friday and taken out 25 minutes later.

    Returns:
        An object with ``work``, the `Repository`; ``keys``, the secrets by what they open.
    """
    r = random.Random(seed)  # noqa: S311 - made-up keys
    keys = {kind: KINDS[name](r)[0] for kind, name in {"salary API": "openai", "hub": "hugging face"}.items()}
    keys["database"] = chosen(r)
    work = Repository(desk / "work")
    work.git("init", "-q", "-b", "main")
    work.write("analysis.ipynb", analysis())
    work.commit("A first look")
    work.git("checkout", "-q", "-b", "try-the-hub")
    work.write(".env", f"HF_TOKEN={keys['hub']}\n".encode())
    work.commit("does it work with the hub?", "thursday")
    work.git("checkout", "-q", "main")
    work.git("branch", "-q", "-D", "try-the-hub")
    error = f"Client(url='https://salaries.example', api_key='{keys['salary API']}'): 503"
    trace = [f"\x1b[31mConnectionError\x1b[39m: {error[:60]}\x1b[1m{error[60:]}\x1b[0m"]
    failed = {"output_type": "error", "ename": "ConnectionError", "evalue": error, "traceback": trace}
    table = "<table><tr><th>name</th><th>pay</th></tr><tr><td>Ada Example</td><td>182000</td></tr></table>"
    work.write("analysis.ipynb", analysis(failed, shown(text_html=table)))
    work.commit("With the people's table", "friday")
    work.write("analysis.ipynb", analysis())
    work.commit("Clear the outputs", "later")
    work.write("load.py", f'engine = connect("postgresql://ann:{keys["database"]}@db.example/pay")\n'.encode())
    work.git("stash", "-q")
    return SimpleNamespace(work=work, keys=keys)


class Meter:
    """The paid interface that the key opens, on this computer: it counts calls by who made them."""

    def __init__(self, key: str) -> None:
        self.valid, self.calls = {key}, Counter()
        meter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fine = self.headers.get("Authorization", "").removeprefix("Bearer ") in meter.valid
                meter.calls[self.headers.get("User-Agent", "unknown"), 200 if fine else 401] += 1
                self.send_response(200 if fine else 401)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def call(self, key: str, who: str, times: int = 1) -> int:
        """Call it; returns the last status."""
        import httpx

        with httpx.Client(
            base_url=self.address, headers={"Authorization": f"Bearer {key}", "User-Agent": who}
        ) as client:
            return [client.get("/").status_code for _ in range(times)][-1]

    def bill(self) -> pd.DataFrame:
        """Calls by caller and status."""
        rows = [{"caller": who, "status": status, "calls": count} for (who, status), count in self.calls.items()]
        return pd.DataFrame(rows).sort_values("calls", ascending=False, ignore_index=True)

    def close(self) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


def clone(work: Repository, folder: Path) -> Repository:
    """What somebody else gets who clones."""
    subprocess.run(["git", "clone", "-q", f"file://{work.folder}", str(folder)], check=True, env=history.environment())  # noqa: S603, S607
    made = Repository(folder)
    made.moment = work.moment
    return made


def stranger(copy: Repository, meter: Meter, calls: int = 400) -> int:
    """What a program of a stranger does with a clone: look through all versions for a key, and use it.

    Returns:
        The status of its last call; 0 when it found no key.
    """
    for blob in history.blobs(copy.folder):
        for key in re.findall(rb"sk-proj-[A-Za-z0-9]{40,}", re.sub(rb"\\u001b\[[0-9;]*m", b"", blob.data or b"")):
            return meter.call(key.decode(), "a stranger", calls)
    return 0


# -- a notebook full of leaks


def nine_places(desk: Path, seed: int = 8) -> Path:
    """Write a notebook that leaks in nine places, each another secret, and return its path."""
    r = random.Random(seed)  # noqa: S311 - made-up keys
    secret = {name: KINDS[kind](r)[0] for name, kind in zip("abcdefghi", list(KINDS)[:9], strict=True)}
    widget = {"model_name": "PasswordModel", "state": {"_model_name": "PasswordModel", "value": chosen(r)}}
    script = encoded(f"const token = '{secret['h']}';")
    colored = f"Settings(api_key=\x1b[32m'{secret['c'][:8]}\x1b[1m{secret['c'][8:]}'\x1b[0m)"
    table = f"<td>token</td><td>{secret['d'][:6]}<b>{secret['d'][6:]}</b></td>"
    attached = {"env.txt": {"text/plain": encoded(f"KEY={secret['f']}")}}
    stored = {"colab": {"resources": {"http://localhost/a.js": {"data": script}}}}
    parameters = {"papermill": {"parameters": {"hub_token": secret["e"]}}}
    made = notebook(
        cell(f'key = "{secret["a"][:9]}" + "{secret["a"][9:]}"', identifier="joined"),
        cell(f"%env SERVICE_TOKEN={secret['b']}", identifier="magic"),
        cell("show(settings)", stream(colored), identifier="colored"),
        cell("table", shown(text_html=table), identifier="table"),
        cell("run()", metadata=parameters, identifier="parameters"),
        cell("See the file.", kind="markdown", attachments=attached, identifier="attached"),
        cell(f"export GITHUB_TOKEN={secret['g']}", kind="raw", identifier="raw"),
        cell("x", metadata=stored, identifier="colab"),
        widgets={"application/vnd.jupyter.widget-state+json": {"state": {"one": widget}}},
    )
    (desk / "nine.ipynb").write_bytes(made)
    return desk / "nine.ipynb"


def places(path: Path) -> list[str]:
    """Where our scanner finds something in a notebook: the cells' ids, or the place outside cells."""
    return [leak.cell or leak.place for leak in scan.scan(path.read_bytes(), path.name, FINGERPRINTS)]


# -- scanners side by side

SIMPLE = re.compile(
    r"(sk-[A-Za-z0-9-]{20,}|hf_[A-Za-z0-9]{20,}|gh[ps]_[A-Za-z0-9]{36}|AKIA[A-Z0-9]{16}|AIza[\w-]{35}|xoxb-[\w-]{20,})"
    r"|(?i:password|secret|token|api_?key)[\"']?\s*[:=]\s*[\"']([^\"'\n]{8,})[\"']"
)


def by_pattern(data: bytes, name: str) -> bool:
    """A pattern over the text of the file, as most home-made hooks have it."""
    return bool(SIMPLE.search(data.decode("utf-8", "replace")))


def by_detect_secrets(data: bytes, name: str) -> bool:
    """Yelp's detect-secrets with all of its plugins and filters, on a file."""
    import tempfile

    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    with tempfile.TemporaryDirectory() as folder, default_settings():
        (Path(folder) / name).write_bytes(data)
        found = SecretsCollection(root=folder)
        found.scan_file(name)
        return bool(found.data)


def by_ours(data: bytes, name: str) -> bool:
    """`scan-notebook`."""
    try:
        return bool(scan.scan(data, name, FINGERPRINTS))
    except notebooks.Unreadable:
        return False


SCANNERS = {"a pattern": by_pattern, "detect-secrets": by_detect_secrets, "scan-notebook": by_ours}


def measured_scanners(half: ModuleType = heldout) -> pd.DataFrame:
    """Recall and false alarms of three scanners on a half of the corpus; by default the one not written against."""
    planted, benign = half.planted(), half.benign()
    rows = {}
    for name, scanner in SCANNERS.items():
        found = sum(scanner(data, path) for _, path, data, _ in planted)
        false = sum(scanner(data, path) for _, path, data in benign)
        rows[name] = {"found": found / len(planted), "false alarms": false / len(benign)}
    return pd.DataFrame(rows).T


def draw_scanners(table: pd.DataFrame) -> None:
    """Show recall and false alarms as two rows of bars."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 1.9), sharey=True)
    for axis, (title, values), tone in zip(axes, table.items(), ("honest", "attack"), strict=True):
        axis.barh(table.index[::-1], values[::-1], color=COLORS[tone], height=0.6)
        for place, value in enumerate(values[::-1]):
            axis.text(value, place, f" {100 * value:.0f} %", va="center", fontsize=9)
        axis.set(title=title, xlim=(0, 1.15))
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    told = "; ".join(
        f"{name}: found {row['found']:.0%}, false {row['false alarms']:.0%}" for name, row in table.iterrows()
    )
    show(figure, alt=f"Two bar charts over three scanners. {told}.")


# -- Colab's secrets, as a stand-in


class SecretNotFoundError(Exception):
    """As in google.colab.userdata."""


class NotebookAccessError(Exception):
    """As in google.colab.userdata."""


class Userdata:
    """What `google.colab.userdata` does outside the notebook: secrets live with the account, access is per notebook."""

    SecretNotFoundError, NotebookAccessError = SecretNotFoundError, NotebookAccessError

    def __init__(self, secrets: dict[str, str], granted: set[str]) -> None:
        self._secrets, self._granted = secrets, granted

    def get(self, name: str) -> str:
        """Return a secret's value."""
        if name not in self._secrets:
            raise SecretNotFoundError(f"Secret {name} does not exist.")
        if name not in self._granted:
            raise NotebookAccessError(f"Notebook does not have access to secret {name}")
        return self._secrets[name]


@contextmanager
def typed(answer: str):
    """Answer `getpass` as somebody at the keyboard would."""
    import getpass
    from unittest import mock

    with mock.patch.object(getpass, "getpass", lambda prompt="": answer):
        yield


HOOKS = """
repos:
- repo: local
  hooks:
  - {id: outputs, name: no outputs, language: unsupported, types: [jupyter], entry: %(python)s -m mlsecops clean-notebook --check}
  - {id: secrets, name: no secrets, language: unsupported, entry: %(python)s -m mlsecops scan-notebook --fingerprint-key %(key)s}
"""  # noqa: E501


def install_hooks(work: Repository, desk: Path) -> None:
    """Install pre-commit with two local hooks; it downloads nothing."""
    from classroom.lesson.sandbox import ROOT

    (desk / "fingerprint.key").write_bytes(FINGERPRINTS)
    python = f"env PYTHONPATH={ROOT} {sys.executable}"
    content = HOOKS % {"python": python, "key": desk / "fingerprint.key"}
    work.write(".pre-commit-config.yaml", content.lstrip().encode())
    environment = history.environment() | {"PRE_COMMIT_HOME": str(desk / "pre-commit")}
    command = [sys.executable, "-m", "pre_commit", "install"]
    subprocess.run(command, cwd=work.folder, check=True, capture_output=True, env=environment)  # noqa: S603


def seeded(desk: Path) -> dict[str, Path]:
    """Write copies of the notebook that a check may let through, each with something to find, by their names."""
    key = new_key(9)
    made = {
        "plain": {},
        "tag": {"tags": ["keep_output"]},
        "metadata": {"keep_output": True},
        "init_cell": {"init_cell": True},
    }
    copies = {
        name: notebook(cell("1", stream(key), metadata=more, execution_count=None)) for name, more in made.items()
    }
    attached = {"env.txt": {"text/plain": encoded(key)}}
    copies["attachment"] = notebook(cell("x", kind="markdown", attachments=attached))
    for name, data in copies.items():
        (desk / f"copy-{name}.ipynb").write_bytes(data)
    return {name: desk / f"copy-{name}.ipynb" for name in copies}


def passes_nbstripout(path: Path) -> bool:
    """Whether ``nbstripout --verify`` has nothing against a notebook."""
    command = [sys.executable, "-m", "nbstripout", "--verify", "--keep-id", str(path)]
    return subprocess.run(command, capture_output=True).returncode == 0  # noqa: S603


def new_key(seed: int) -> str:
    """A key in the format of a provider; it opens nothing."""
    return KINDS["openai"](random.Random(seed))[0]  # noqa: S311


def four_moments(desk: Path, meter: Meter, key: str) -> pd.DataFrame:
    """Catch the same key at four moments, for real, and show the time that the commands took.

    Returns:
        A row per moment: ``steps`` (commands that somebody has to give, and requests to others), and whether the
        ``stranger's key works`` afterwards.
    """
    rows, seconds = {}, {}
    leaking = analysis(stream(f"key: {key}"))

    def repository(name: str) -> Repository:
        made = Repository(desk / name)
        made.git("init", "-q", "-b", "main")
        made.write("analysis.ipynb", analysis())
        made.commit("clean")
        return made

    def note(moment: str, steps: list[str], start: float, leaked: bool) -> None:
        works = leaked and meter.call(key, "a stranger") == 200
        seconds[moment.replace(":", "").replace(" ", "_")] = time.perf_counter() - start
        rows[moment] = {"steps": len(steps), "what": ", ".join(steps), "stranger's key works": works}

    start, work = time.perf_counter(), repository("m1")
    scan.scan(leaking, "analysis.ipynb", FINGERPRINTS)
    note("before the commit", ["clear the outputs"], start, False)

    start, work = time.perf_counter(), repository("m2")
    work.write("analysis.ipynb", leaking)
    work.commit("leaks")
    work.write("analysis.ipynb", analysis())
    for command in (
        ["commit", "-q", "--amend", "--allow-empty", "-m", "clean"],
        ["reflog", "expire", "--expire=now", "--all"],
        ["gc", "-q", "--prune=now"],
    ):
        work.git(*command)
    if len(work.found()):
        raise RuntimeError("the key is still in the objects")
    note("before the push", ["amend", "expire the reflog", "collect garbage"], start, False)

    start, work = time.perf_counter(), repository("m3")
    work.write("analysis.ipynb", leaking)
    work.commit("leaks")
    copy = clone(work, desk / "m3-copy")
    work.write("analysis.ipynb", analysis())
    work.commit("clear")
    work.git("reset", "-q", "--soft", "HEAD~2")
    work.git("commit", "-q", "--allow-empty", "-m", "clean")
    work.git("reflog", "expire", "--expire=now", "--all")
    work.git("gc", "-q", "--prune=now")
    if len(work.found()) or not len(copy.found()):
        raise RuntimeError("the history was not rewritten, or the copy with it")
    steps = [
        "rewrite",
        "expire the reflog",
        "collect garbage",
        "push with force",
        "ask the host to forget",
        "everybody clones anew",
    ]
    note("after the push: rewritten", steps, start, True)

    start = time.perf_counter()
    replacement = new_key(10)
    meter.valid.discard(key)
    meter.valid.add(replacement)
    meter.call(replacement, "our service")
    steps = [
        "revoke",
        "issue",
        "put it where the service reads it",
        "restart",
        "read the bill",
        "tell the owner",
        "rewrite, for tidiness",
    ]
    note("after the push: rotated", steps, start, True)
    meter.valid.discard(replacement)
    meter.valid.add(key)
    timing(**seconds)
    return pd.DataFrame(rows).T


# -- the tracking server: MLflow, in an environment of its own (its pins of pandas are not ours)

# What this comes to where MLflow is not installed. Noted on 28 November 2026 with MLflow 3.17.2 by this same code.
NOTED = {
    "as started": {"list": 200, "create": 200},
    "with a login": {"list": 401, "create": 401},
    "old default": {"list": 401, "create": 401},
    "right login": {"list": 200, "create": 200},
}


def mlflow_python() -> str | None:
    """The interpreter that has MLflow: named by ``MLSECOPS_MLFLOW``, or in ``build/mlflow``; None without one."""
    from classroom.lesson.sandbox import ROOT

    places = [
        os.environ.get("MLSECOPS_MLFLOW", ""),
        str(ROOT / "build/mlflow/bin/python"),
        str(ROOT / "build/mlflow/Scripts/python.exe"),
    ]
    return next((place for place in places if place and Path(place).exists()), None)


def strangers_view(desk: Path) -> pd.DataFrame:
    """What a stranger gets from MLflow as it starts by itself, and with a login; measured, or as it was noted."""
    python = mlflow_python()
    if not python:
        print("MLflow is not installed; these statuses were noted on 28 November 2026 with version 3.17.2.")
        return pd.DataFrame(NOTED).T
    with TrackingServer(desk / "open", login=False, python=python) as server:
        rows = {"as started": exposure(server.address).statuses}
    with TrackingServer(desk / "closed", python=python) as server:
        rows["with a login"] = exposure(server.address).statuses
        rows["old default"] = exposure(server.address, ("admin", "password1234")).statuses
        rows["right login"] = exposure(server.address, server.login).statuses
    return pd.DataFrame(rows).T
