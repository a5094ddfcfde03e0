"""What `scan-notebook` costs and finds: python benchmarks/leaks.py [found|notebooks|history]

found      recall and false alarms of three scanners on both halves of the corpus
notebooks  1,000 notebooks, more than 500 MB with their images, beside `json.load` of the same files
history    2,000 commits beside `git rev-list --objects` and `git cat-file --batch` of the same repository

Times are ratios within one run.
"""

import json
import random
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from classroom.drills import leaks as drill
from classroom.drills.leaky import heldout, tuned
from classroom.drills.leaky.kinds import cell, encoded, notebook, shown, stream
from mlsecops.leaks import history, scan

KEY = b"the key of the fingerprints of a benchmark"


def found() -> None:
    for name, half in (("tuned", tuned), ("held out", heldout)):
        print(f"{name}: {len(half.planted())} files with a secret, {len(half.benign())} without")
        print((100 * drill.measured_scanners(half)).round(1).to_string())


def notebooks() -> None:
    r = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        files, largest, total = [], 0, 0
        for number in range(1_000):
            cells = [
                cell(f"# step {n}\nx{n} = model.fit(x, epochs={n})\nprint(x{n})", stream("loss\n" * 20))
                for n in range(12)
            ]
            cells += [
                cell("plot()", shown(image_png=encoded(r.randbytes(r.randint(50_000, 220_000))))) for _ in range(3)
            ]
            path = Path(folder) / f"{number}.ipynb"
            path.write_bytes(notebook(*cells))
            files.append(path)
            total += path.stat().st_size
            largest = max(largest, path.stat().st_size)
        print(f"{len(files)} notebooks, {total / 1e6:.0f} MB, the largest {largest / 1e6:.1f} MB")
        start = time.perf_counter()
        for path in files:
            json.loads(path.read_bytes())
        plain = time.perf_counter() - start
        start = time.perf_counter()
        hits = sum(bool(scan.scan(path.read_bytes(), path.name, KEY)) for path in files)
        ours = time.perf_counter() - start
        print(f"json.load {plain:.1f} s, scan {ours:.1f} s: {ours / plain:.2f} times; {hits} files flagged")
        tracemalloc.start()
        path = max(files, key=lambda one: one.stat().st_size)
        scan.scan(path.read_bytes(), path.name, KEY)
        print(f"peak on the largest: {tracemalloc.get_traced_memory()[1] / largest:.1f} times its size")


def past() -> None:
    r = random.Random(2)
    with tempfile.TemporaryDirectory() as folder:
        work = drill.Repository(Path(folder) / "work")
        work.git("init", "-q", "-b", "main")
        stream_of = ["blob\nmark :1\ndata 1\nx\n"]
        books = {
            n: [cell(f"x = {r.random()}\n" * 8, stream(f"{r.random()}\n" * 40)) for _ in range(12)] for n in range(50)
        }
        for number in range(2_000):  # each commit changes one cell of one of fifty notebooks, and its output
            cells = books[number % 50]
            cells[r.randrange(12)] = cell(f"x = {r.random()}\n" * 8, stream(f"{r.random()}\n" * 40))
            data = notebook(*cells).decode()
            stream_of.append(f"commit refs/heads/main\ncommitter A <a@b> {1_700_000_000 + number} +0000\ndata 1\nx\n")
            stream_of.append(f"M 100644 inline n{number % 50}.ipynb\ndata {len(data)}\n{data}\n")
        command = history.git(work.folder, "fast-import", "--quiet")
        subprocess.run(command, input="".join(stream_of).encode(), check=True, env=history.environment())
        start = time.perf_counter()
        objects = history.run(work.folder, "rev-list", "--objects", "--all")
        names = b"\n".join(line.split()[0] for line in objects.splitlines())
        command = history.git(work.folder, "cat-file", "--batch", "--buffer")
        subprocess.run(command, input=names, stdout=subprocess.DEVNULL, check=True, env=history.environment())
        plain = time.perf_counter() - start
        start = time.perf_counter()
        rows = list(scan.history_rows(work.folder, KEY))
        ours = time.perf_counter() - start
        print(f"2,000 commits: git alone {plain:.1f} s, scan {ours:.1f} s: {ours / plain:.1f} times; {len(rows)} found")


if __name__ == "__main__":
    parts = {"found": found, "notebooks": notebooks, "history": past}
    for chosen in sys.argv[1:] or parts:
        print(f"--- {chosen}")
        parts[chosen]()
