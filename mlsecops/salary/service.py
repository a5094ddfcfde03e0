"""The salary service as it was built on a Friday afternoon: it works, and everything about it can be attacked.

Made to be broken, on your own machine only: it listens to whoever asks. Its faults are the subject of lesson H3, and
the hardened service in `mlsecops.serving` has none of them.
"""

import os
import sqlite3
import traceback
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import PlainTextResponse
from pydantic import create_model


def naive_app(model, log_file, *, in_database="not set"):
    """Return the naive FastAPI application around a SalaryModel.

    ``log_file``: path of the text log that it appends to. ``in_database``: a secret that lies in its database; give
    it a canary, and see where that turns up.
    """
    app = FastAPI(title="Salary predictor")
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])
    database = _database(model.metadata["countries"], in_database)
    log_file = Path(log_file)

    kinds = {name: bool if name.startswith("uses_") else float for name in model.metadata["bounds"]}
    Query = create_model("Query", **{name: (kind, ...) for name, kind in kinds.items()}, country=(str, ...))  # noqa: N806

    @app.post("/predict")
    async def predict(query: Query):
        try:
            # The country's text becomes part of the command.
            command = f"SELECT name, region FROM countries WHERE name = '{query.country}'"  # noqa: S608
            rows = database.execute(command).fetchall()
            salary = float(model.predict(query.model_dump())[0])
            # The country's text becomes part of the log, line breaks and all.
            with log_file.open("a", encoding="utf-8") as log:
                log.write(f"predict country={query.country} years={query.years_exp} salary={salary:.0f}\n")
        except Exception:
            return PlainTextResponse(f"{traceback.format_exc()}\nrequest: {query!r}", status_code=500)
        return {"predicted_salary_usd": salary, "countries": rows}

    @app.get("/health")
    async def health():
        return {"status": "ok", "model": model.metadata, "log": str(log_file.resolve()), "pid": os.getpid()}

    return app


def _database(countries, secret):
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute("CREATE TABLE countries (name TEXT, region TEXT)")
    database.executemany("INSERT INTO countries VALUES (?, ?)", [(name, f"region of {name}") for name in countries])
    database.execute("CREATE TABLE credentials (name TEXT, secret TEXT)")
    database.execute("INSERT INTO credentials VALUES ('database', ?)", [secret])
    return database
