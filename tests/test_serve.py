"""A lesson's service comes up, answers, and never outlives the process that started it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request

import pytest

from classroom.lesson import ROOT, serve

APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"here"})
"""
PARENT = """
import sys
sys.path.append({root!r})
from classroom.lesson import serve
service = serve({app!r}, ".")
print(service._process.pid, flush=True)
{then}
"""


def fetch(service):
    with urllib.request.urlopen(service.url, timeout=5) as answer:
        return answer.read().decode()


def gone(pid, seconds=10):
    """True once no process has this number."""
    for _ in range(int(seconds * 20)):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_it_answers_until_it_is_stopped(tmp_path):
    with serve(APP, tmp_path) as service:
        assert fetch(service) == "here"
        assert service.running and repr(service) == "service: running"
    assert not service.running
    service.stop()
    with pytest.raises(urllib.error.URLError):
        fetch(service)


def test_it_finds_the_variables_given(tmp_path):
    code = "import os\n" + APP.replace('b"here"', 'os.environ["WORD"].encode()')
    with serve(code, tmp_path, environment={"WORD": "given"}) as service:
        assert fetch(service) == "given"


def test_two_take_two_ports(tmp_path):
    with serve(APP, tmp_path) as one, serve(APP, tmp_path) as other:
        assert one.port != other.port


def test_code_that_fails_is_named(tmp_path):
    with pytest.raises(RuntimeError, match="did not start: ZeroDivisionError"):
        serve("1 / 0", tmp_path)


def test_code_that_hangs_is_killed(tmp_path):
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="did not start"):
        serve("import time; time.sleep(60)", tmp_path, timeout=1)
    assert time.monotonic() - start < 10


@pytest.mark.skipif(sys.platform == "win32", reason="asks by signal whether a process is there")
@pytest.mark.parametrize("then", ["", "1 / 0", "import os; os._exit(3)", "import time; time.sleep(60)", "kill"])
def test_it_ends_with_whoever_started_it(tmp_path, then):
    body = "import time; time.sleep(60)" if then == "kill" else then
    program = PARENT.format(root=str(ROOT), app=APP, then=textwrap.dedent(body))
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    pid = int(parent.stdout.readline())
    if "sleep" in body:
        os.kill(pid, 0)  # it is there
        parent.send_signal(signal.SIGKILL if then == "kill" else signal.SIGINT)
    parent.wait(10)
    parent.stdout.close()
    assert gone(pid)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal to a process group")
def test_an_interrupt_of_the_kernel_leaves_it_running(tmp_path):
    """Jupyter interrupts the kernel's whole process group; the lesson goes on with the next cell."""
    then = """
import os, signal, urllib.request
try:
    os.killpg(0, signal.SIGINT)
    import time; time.sleep(5)
except KeyboardInterrupt:
    pass
print(urllib.request.urlopen(service.url).read().decode())
"""
    program = PARENT.format(root=str(ROOT), app=APP, then=then)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=30,
    )
    assert done.stdout.split()[1] == "here"
