"""Processor time per request, in process: plain FastAPI, the hardened service, one of slowapi and BaseHTTPMiddleware.

    python benchmarks/serving.py [--requests 300] [--rounds 15]

The same torch predictor stands behind all of them. Rounds are interleaved, so that a machine that is busy or warms up
treats them alike; each figure is the median over rounds of a service's time divided by the plain one's in the same
round. Time is the process's own processor time. Then the controls one by one, and the verification of an audit log.
"""

import argparse
import asyncio
import gc
import json
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from asgi import VALID, ask  # noqa: E402
from fastapi import FastAPI  # noqa: E402
from pydantic import create_model  # noqa: E402
from textbook_service import textbook_app  # noqa: E402

from mlsecops.salary.dataset import clean, load_salaries  # noqa: E402
from mlsecops.salary.model import train  # noqa: E402
from mlsecops.serving import CONTROLS, AuditLog, Settings, create_app, derive, issue_key, verify_audit_log  # noqa: E402
from mlsecops.serving.interval import Predictor  # noqa: E402

SECRET = "benchmark" * 5
MANY = 10**7
ORDER = ["headers", "errors", "keys", "limits", "body_cap", "schema", "audit"]
assert set(ORDER) == CONTROLS


def plain_app(predictor, metadata):
    """FastAPI as its tutorial shows it: a typed body in, a dict out, nothing else."""
    app = FastAPI()
    kinds = {name: bool if name.startswith("uses_") else float for name in metadata["bounds"]} | {"country": str}
    Query = create_model("Query", **{name: (kind, ...) for name, kind in kinds.items()})  # noqa: N806

    @app.post("/predict")
    async def predict(query: Query):
        return predictor(query.model_dump())

    return app


def compare(services, key, requests, rounds):
    """Return ``{name: [ratio to the first service, …]}`` and the first one's µs per request."""
    headers = [(b"x-api-key", key.encode()), (b"content-type", b"application/json"), (b"accept", b"*/*")]
    body = [json.dumps(VALID).encode()]

    async def burst(app, count):
        for _ in range(count):
            answer = await ask(app, "POST", "/predict", headers, body)
            assert answer.status == 200, answer

    seconds = {name: [] for name in services}
    with asyncio.Runner() as runner:
        for app in services.values():
            runner.run(burst(app, 50))
        gc.collect()
        gc.disable()
        for number in range(rounds):
            names = list(services)
            for name in names if number % 2 else reversed(names):
                start = time.process_time()
                runner.run(burst(services[name], requests))
                seconds[name].append(time.process_time() - start)
            gc.collect()
        gc.enable()
    first = seconds[next(iter(services))]
    ratios = {name: [a / b for a, b in zip(own, first, strict=True)] for name, own in seconds.items()}
    return ratios, 1e6 * statistics.median(first) / requests


def verification(folder, lines=100_000):
    """Return the seconds, of processor time, that verifying a log of so many lines takes."""
    key = derive(SECRET, "audit")
    log = AuditLog(folder / "long.jsonl", key)
    for number in range(lines):
        log.append(
            {
                "time": number / 10,
                "request_id": f"{number:016x}",
                "key_id": "0a1b2c3d",
                "address": "46bc155fbe07fdc4e2578e029d43332b",
                "method": "POST",
                "path": "/predict",
                "status": 200,
                "features": VALID,
            }
        )
    log.close()
    start = time.process_time()
    check = verify_audit_log(folder / "long.jsonl", key, log.head())
    assert check.ok and check.lines == lines
    return time.process_time() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = train(clean(load_salaries("sample")), fast=True)
    predictor = Predictor(model, 0.5)
    text, key = issue_key("benchmark", derive(SECRET, "api keys"))
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        limits = {"requests_per_minute": MANY, "address_requests_per_minute": MANY, "query_budget": MANY}

        def hardened(controls=CONTROLS):
            # A folder of its own for each app: services that never end keep their chain.
            place = {"audit_folder": tempfile.mkdtemp(dir=folder), "anchor_folder": tempfile.mkdtemp(dir=folder)}
            settings = Settings(secret=SECRET, api_keys=[key], **limits, **place)
            return create_app(model, settings, interval=0.5, controls=controls)

        services = {
            "plain FastAPI": plain_app(predictor, model.metadata),
            "hardened, no audit log": hardened(CONTROLS - {"audit"}),
            "hardened": hardened(),
            "slowapi + BaseHTTPMiddleware": textbook_app(predictor, model.metadata, text, folder / "log", MANY),
        }
        ratios, base = compare(services, text, arguments.requests, arguments.rounds)
        print(f"\nprocessor time per request, plain FastAPI = 1 ({base:.0f} µs); median (quartiles) of rounds")
        for service, values in ratios.items():
            low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
            print(f"  {service:30} {middle:.2f}  ({low:.2f} to {high:.2f})")
        against = statistics.median(
            a / b for a, b in zip(ratios["hardened"], ratios["slowapi + BaseHTTPMiddleware"], strict=True)
        )
        print(f"  hardened / slowapi + BaseHTTPMiddleware: {against:.2f}")

        steps = {f"+ {control}": hardened(frozenset(ORDER[: place + 1])) for place, control in enumerate(ORDER)}
        ratios, base = compare(
            {"no control": hardened(frozenset()), **steps}, text, arguments.requests, arguments.rounds
        )
        print(f"\ncontrols added one after the other, none = 1 ({base:.0f} µs)")
        for control, values in ratios.items():
            print(f"  {control:30} {statistics.median(values):.2f}")
        print(f"\n100,000 audit lines verified in {verification(folder):.2f} s")


if __name__ == "__main__":
    main()
