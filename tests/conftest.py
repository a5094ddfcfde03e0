"""What several test modules share: small notebooks made on the spot, and a Redis."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import nbformat
import pytest

SETUP = "SEED = 7\nFAST = False"
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """What grades hostile submissions runs alone: its limits of time and memory decide."""
    for item in items:
        if item.path.is_relative_to(HERE / "attacks") or item.path.name == "test_grader.py":
            item.add_marker("alone")


@pytest.fixture(scope="session")
def make_notebook():
    """A function that writes a notebook whose set-up cell is followed by the given code cells, and returns its path."""

    def make(path: Path, *code: str, setup: str = SETUP) -> Path:
        cells = [nbformat.v4.new_code_cell(setup, id="tiny-setup", metadata={"tags": ["setup", "parameters"]})]
        cells += [nbformat.v4.new_code_cell(text, id=f"tiny-cell-{n}") for n, text in enumerate(code, 1)]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return make


@pytest.fixture
def redis_address(tmp_path):
    """Where an empty Redis listens that lives as long as the test; skips the test where none is installed."""
    program = shutil.which("redis-server")
    if not program:
        pytest.skip("there is no redis-server on PATH")
    pytest.importorskip("redis", reason="Python's redis package is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(tmp_path)]
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not _answers_ping(port):
            assert process.poll() is None and time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _answers_ping(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(7) == b"+PONG\r\n"
    except OSError:
        return False
