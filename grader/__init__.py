"""The instructor's room: grades submissions without trusting them.

Three processes, so that no secret and no answer is ever in reach of a learner's code:

- the *judge* (`judge.py`) holds the course key, sends inputs, compares answers and is the only writer of results;
- the *generator* (`generator.py`) makes each learner's inputs and truth from a seed;
- the *zygote* (`zygote.py`) has the libraries imported and forks one jailed worker (`jail.py`, `worker.py`) per
  submission. Where Linux namespaces are not available, `fallback.py` starts a plain process instead.

`submissions.py` reads what was handed in, `reports.py` writes what comes out, `seeds.py` keeps the key.
"""
