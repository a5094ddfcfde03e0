"""A service hardened the way a textbook does it: the comparator. Every fault in it is on purpose, and tested.

A key, bounds, a rate limit by address, security headers, a log, docs switched off. What is missing is subtle.
"""

import hashlib
import hmac
import logging

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import APIKeyHeader
from pydantic import Field, create_model
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIMiddleware
from slowapi.util import get_remote_address
from starlette.middleware.base import BaseHTTPMiddleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",
    "Strict-Transport-Security": "max-age=31536000",
}


class SecurityHeaders(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        response = await call_next(request)
        response.headers.update(HEADERS)
        return response


def textbook_app(predictor, metadata, key, log_file, per_minute=60):
    """The textbook's app: ``predictor(dict) -> dict``, one ``key`` for everybody, a text log. As uvicorn runs it."""
    log = logging.Logger("textbook")
    handler = logging.FileHandler(log_file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log.addHandler(handler)
    stored = hashlib.sha256(key.encode()).hexdigest()
    limiter = Limiter(key_func=get_remote_address)
    app = FastAPI(docs_url=None)
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    app.add_middleware(SlowAPIMiddleware)
    app.add_middleware(SecurityHeaders)

    def check_key(text: str | None = Depends(APIKeyHeader(name="X-API-Key", auto_error=False))):
        if text is None:
            raise HTTPException(401, "API key missing")
        if not hmac.compare_digest(hashlib.sha256(text.encode()).hexdigest(), stored):
            log.warning("wrong key")
            raise HTTPException(403, "API key wrong")

    fields = {name: (bool, ...) for name in metadata["bounds"]}
    low, high = metadata["bounds"]["years_exp"]
    fields["years_exp"] = (float, Field(ge=low, le=high))
    fields["country"] = (str, Field(min_length=1, max_length=50))
    Query = create_model("Query", **fields)  # noqa: N806

    @app.post("/predict", dependencies=[Depends(check_key)])
    @limiter.limit(f"{per_minute}/minute")
    async def predict(request: Request, query: Query):
        try:
            return predictor(query.model_dump())
        except Exception:
            log.exception("prediction failed")
            raise

    return ProxyHeadersMiddleware(app, trusted_hosts="127.0.0.1")
