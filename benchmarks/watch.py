"""``watch`` on a long log: its rate beside what it cannot do without, and its memory as the log grows.

    python benchmarks/watch.py [LINES]

The log is the committed one again and again, signed anew, a million lines of it by default; keys and addresses of each
copy are others, so that the clients that are remembered reach their bound. Verification, parsing and watching take
turns in processes of their own.
"""

import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mlsecops.audit_log import AuditLog, verify_audit_log  # noqa: E402 - found through the line above
from mlsecops.monitoring.watch import Watcher  # noqa: E402

KEY = b"benchmark" * 4
PERIOD = 2 * 86_400.0
TURNS = 2


def make_log(path, count):
    """Write ``count`` lines."""
    source = gzip.decompress((ROOT / "data" / "audit_log.jsonl.gz").read_bytes()).splitlines()
    lines = [json.loads(line) for line in source]
    log = AuditLog(path, KEY)
    for number in range(count):
        copy, place = divmod(number, len(lines))
        line = {name: value for name, value in lines[place].items() if name not in ("seq", "previous", "mac")}
        line["time"] += copy * PERIOD
        line |= {name: f"{copy}-{line[name]}" for name in ("key_id", "address") if line[name]}
        log.append(line)
    log.close()


def verify(path):
    """The chain alone."""
    assert verify_audit_log(path, KEY).ok


def parse(path):
    """JSON alone."""
    with path.open("rb") as file:
        for line in file:
            json.loads(line)


def watch(path):
    """All of it, without statistics."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "alerts").open("w+") as out:
        Watcher(path, Path(folder) / "state", KEY).run(out, lambda alert: None)


def measured(name, path):
    """Run one of the three in a process of its own; returns seconds of processor time and the peak memory in MB."""
    done = subprocess.run([sys.executable, __file__, name, str(path)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main(count=1_000_000):
    with tempfile.TemporaryDirectory() as folder:
        short, long = Path(folder) / "short.jsonl", Path(folder) / "long.jsonl"
        make_log(short, count // 5)
        make_log(long, count)
        best = {}
        for _ in range(TURNS):
            for job in ("verify", "parse", "watch"):
                best[job] = min(best.get(job, [9e9, 0]), measured(job, long))
        small = measured("watch", short)
    floor = best["verify"][0] + best["parse"][0]
    for job, (seconds, _) in best.items():
        print(f"{job:7} {seconds:6.1f} s   {count / seconds:10,.0f} lines/s")
    print(f"watch takes {best['watch'][0] / floor:.2f} times verification and parsing together")
    print(f"peak memory: {small[1]:.0f} MB at {count // 5:,} lines, {best['watch'][1]:.0f} MB at {count:,}")
    print(f"that is {best['watch'][1] / small[1] - 1:+.1%}")


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in ("verify", "parse", "watch"):
        begin = time.process_time()
        {"verify": verify, "parse": parse, "watch": watch}[sys.argv[1]](Path(sys.argv[2]))
        print(json.dumps([time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
    else:
        main(*map(int, sys.argv[1:]))
