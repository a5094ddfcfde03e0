"""``create_app``: the controls put together, each a part of its own, as FastAPI's users expect them.

A request meets them in this order: the envelope · the key · the key's scope · the limits of key and address · the
body's size · its form · the owner's budget · the model · and on the way out the audit log and the headers.
"""

import asyncio
import contextlib
import json
import time
from typing import Annotated

from fastapi import Depends, FastAPI
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mlsecops.audit_log import AuditError, open_worker_log
from mlsecops.serving.envelope import SECURITY_HEADERS, ClientAddress, Envelope, error_body
from mlsecops.serving.errors import Forbidden, Refusal, TooMany, Unauthorized, Unavailable
from mlsecops.serving.interval import Predictor
from mlsecops.serving.keys import Key, KeyRing
from mlsecops.serving.query import check_media_type, lax_schema, parse_query, query_schema, read_body, validated
from mlsecops.serving.rate_limits import Limit, MemoryLimiter, SharedLimiter, Unlimited
from mlsecops.serving.record import Record

CONTROLS = frozenset({"keys", "limits", "body_cap", "schema", "errors", "headers", "audit"})
ANYBODY = Key(id="anybody", owner="anybody", digest="0" * 64)


class Prediction(BaseModel):
    """The answer to a query, in USD per year."""

    predicted_salary_usd: int
    prediction_interval: Annotated[list[int], Field(min_length=2, max_length=2)]


class Problem(BaseModel):
    """The answer to everything else; ``fields`` names the schema's fields that were not right."""

    error: str
    request_id: str
    fields: list[str] = []


class Gate(APIKeyHeader):
    """Who may ask, and how often. As a dependency it returns the Key that the request proved, before the body is read.

    The key is looked at first. Only who has no valid one is counted as a failure of the address, so that a client
    guessing keys locks out itself and not its neighbors behind the same address.
    """

    def __init__(self, keys, limiter, settings, clock, scope="predict", open_to_all=False):
        super().__init__(name="X-API-Key", scheme_name="key")  # describes it in /openapi.json; the check is our own
        self._keys, self._limiter, self._clock = keys, limiter, clock
        self._scope, self._open = scope, open_to_all
        self._per_key = Limit("key", settings.requests_per_minute, 60)
        self._per_address = Limit("address", settings.address_requests_per_minute, 60)
        self._failures = Limit("failures", settings.failures_per_minute, 60)
        self._budget = Limit("budget", settings.query_budget, settings.budget_days * 86_400)

    async def __call__(self, request: Request) -> Key:
        exchange = request.scope["exchange"]
        key = ANYBODY if self._open else self._proved(request)
        if key is None:
            await self.count_failure(exchange.address)
            raise Unauthorized
        exchange.key_id = key.id
        if self._scope not in key.scopes:
            raise Forbidden
        if wait := await self._limiter.take((self._per_key, key.id), (self._per_address, exchange.address)):
            raise TooMany(wait)
        return key

    async def count_failure(self, address):
        """Count one failure of the address. Raises TooMany when it has had its share of them."""
        if wait := await self._limiter.take((self._failures, address)):
            raise TooMany(wait)

    async def spend(self, key):
        """Take one prediction from the budget of the key's owner; raises TooMany when it is used up."""
        if wait := await self._limiter.take((self._budget, key.owner)):
            raise TooMany(wait)

    def _proved(self, request):
        presented = request.headers.getlist("x-api-key")
        return self._keys.find(presented[0], self._clock()) if len(presented) == 1 else None


def create_app(model, settings, *, interval, clock=time.time, limiter=None, controls=CONTROLS):
    """Return the FastAPI application that serves a SalaryModel.

    ``settings``: a Settings. ``interval``: half-width of the prediction interval on log salary, from `calibrate`.
    ``clock()`` gives seconds since 1970. ``limiter``: a Limiter to share with other apps of this process; by default
    one of its own, or Redis where configured. ``controls`` leaves single controls out, to measure what each does: it
    is no setting, so that no environment variable can switch protection off.

    The app keeps ``app.state.keys`` (KeyRing, for rotation) and ``app.state.record`` (Record or None; its ``close``
    ends the log, the release of ``app.state.audit_lock`` lets another process continue it).
    Raises AuditError when the audit log cannot be continued, ValueError for an unknown control.
    """
    if unknown := set(controls) - CONTROLS:
        raise ValueError(f"no such control: {', '.join(sorted(unknown))}")
    predictor = Predictor(model, interval)
    strict = "schema" in controls
    schema = query_schema(model.metadata) if strict else lax_schema(model.metadata)
    keys = KeyRing(settings.api_keys, settings.derive("api keys"))
    gate = Gate(keys, _limiter(limiter, settings, clock, controls), settings, clock, open_to_all="keys" not in controls)
    record, lock = None, None
    if settings.audit_folder and "audit" in controls:
        audit, lock = open_worker_log(
            settings.audit_folder,
            settings.derive("audit"),
            anchor_folder=settings.anchor_folder,
            anchor_every=settings.anchor_every,
            segment_bytes=settings.segment_bytes,
            segment_seconds=settings.segment_days and settings.segment_days * 86_400,
        )
        record = Record(audit, settings.derive("addresses"))

    async def read_query(request: Request) -> dict:
        if "body_cap" in controls:
            body = await read_body(request, settings.max_body_bytes, settings.body_seconds)
        else:
            body = await request.body()
        if strict:
            check_media_type(request)
            query = parse_query(body, schema)
        else:
            query = validated(json.loads(body), schema)
        return query.model_dump()

    @contextlib.asynccontextmanager
    async def lifespan(app):
        if not record:
            yield
            return
        flushing = asyncio.create_task(_flush_now_and_then(record, clock))
        try:
            yield
        finally:
            flushing.cancel()
            record.close()
            lock.release()

    shown = {} if settings.docs else {"openapi_url": None, "docs_url": None, "redoc_url": None}
    app = FastAPI(title="Salary predictor", lifespan=lifespan, redirect_slashes=False, **shown)
    app.state.keys, app.state.record, app.state.audit_lock = keys, record, lock

    # The body is no parameter of the function: FastAPI would read all of it before the first dependency runs.
    described = {"content": {"application/json": {"schema": schema.model_json_schema()}}, "required": True}

    problems = {kind.status: {"model": Problem, "description": kind.__doc__} for kind in Refusal.kinds()}

    @app.post("/predict", response_model=Prediction, responses=problems, openapi_extra={"requestBody": described})
    async def predict(
        request: Request, key: Annotated[Key, Depends(gate)], query: Annotated[dict, Depends(read_query)]
    ) -> Response:
        await gate.spend(key)
        request.scope["exchange"].features = query
        return JSONResponse(predictor(query))

    @app.get("/health")
    async def health(request: Request) -> dict:
        request.scope["exchange"].recorded = False
        return {"status": "ok"}  # no version, no path, no name: whoever runs the service knows them

    @app.get("/ready")
    async def ready(request: Request) -> dict:
        """Whether predictions can be served: not without a record of them."""
        request.scope["exchange"].recorded = False
        if record and not record.audit.writable():
            raise Unavailable("audit log")
        return {"status": "ready"}

    _answer_errors(app, gate, generic="errors" in controls)
    if settings.cors_origin:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=[settings.cors_origin],
            allow_methods=["POST"],
            allow_headers=["X-API-Key", "Content-Type"],
        )
    headers = SECURITY_HEADERS if "headers" in controls else {}
    if settings.docs:  # the documentation pages are made of scripts
        headers = {name: value for name, value in headers.items() if name != "Content-Security-Policy"}
    app.add_middleware(
        Envelope,
        address_of=ClientAddress(settings.trusted_proxies),
        record=record,
        clock=clock,
        headers=headers,
        generic="errors" in controls,
    )
    return app


async def _flush_now_and_then(record, clock):
    """Write the counts of a minute that is over when no request comes that would."""
    while True:
        await asyncio.sleep(10)
        with contextlib.suppress(AuditError):  # they are kept, and /ready tells
            record.flush(clock())


def _limiter(given, settings, clock, controls):
    if "limits" not in controls:
        return Unlimited()
    if given is None and settings.redis_url:
        return SharedLimiter(settings.redis_url.get_secret_value())
    return given or MemoryLimiter(clock)


def _answer_errors(app, gate, generic):
    def answer(request, refusal):
        exchange = request.scope["exchange"]
        detail = None if generic else refusal.detail
        body = error_body(refusal.code, exchange.request_id, fields=refusal.fields, detail=detail)
        return Response(body, refusal.status, refusal.headers, "application/json")

    @app.exception_handler(Refusal)
    async def refused(request, refusal):
        return answer(request, refusal)

    @app.exception_handler(HTTPException)
    async def not_found(request, error):
        """Paths and methods that do not exist: who tries many of them is looking for something."""
        try:
            await gate.count_failure(request.scope["exchange"].address)
        except Refusal as refusal:
            return answer(request, refusal)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
        body = error_body(code, request.scope["exchange"].request_id)
        return Response(body, error.status_code, error.headers, "application/json")
