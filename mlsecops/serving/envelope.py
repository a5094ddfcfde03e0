"""What wraps every answer, whatever happens inside: request id, security headers, plain errors, the audit line.

Written against ASGI itself. Starlette's BaseHTTPMiddleware is more comfortable and runs each request as a task of its
own: several times the cost of everything here. And a middleware that only decorates answers never sees the answer to
an exception, so this one makes that answer itself.
"""

import dataclasses
import ipaddress
import json
import logging
import secrets

from mlsecops.audit_log import AuditError

logger = logging.getLogger("mlsecops.serving")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Strict-Transport-Security": "max-age=31536000",  # browsers heed it over TLS only
    # No X-XSS-Protection: browsers have removed it, and while they had it, it could be turned against the page.
}


@dataclasses.dataclass(slots=True)
class Exchange:
    """What is known of one request while it is answered; found in ``scope["exchange"]``."""

    request_id: str
    address: str
    key_id: str | None = None
    features: dict | None = None
    recorded: bool = True  # probes of the service's health would bury the rest of the log


class Envelope:
    """The outermost middleware.

    ``address_of(scope)`` tells the client's address; ``record`` is a Record or None; ``headers`` a dict; ``clock()``
    gives seconds since 1970; ``generic`` False lets answers to exceptions say what happened, as a debugger would.
    """

    def __init__(self, app, *, address_of, record, clock, headers, generic=True):
        self.app, self.address_of, self.record, self.clock, self.generic = app, address_of, record, clock, generic
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # A client's own request id is not taken over: it could be anything, and it would stand in the log.
        exchange = scope["exchange"] = Exchange(secrets.token_hex(8), self.address_of(scope))
        extra = [(b"x-request-id", exchange.request_id.encode()), *self._headers]
        started = False

        async def answer(message):
            nonlocal started
            if message["type"] == "http.response.start":
                if self.record and exchange.recorded:  # first the record, then the answer
                    self.record.request(self.clock(), exchange, scope["method"], scope["path"], message["status"])
                started = True
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        try:
            await self.app(scope, receive, answer)
        except Exception as error:
            if started:
                raise
            # Neither the message nor the traceback's values: both can hold what the client sent.
            trace = error.__traceback__
            while trace.tb_next:
                trace = trace.tb_next
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
            logger.error("request %s failed: %s at %s", exchange.request_id, type(error).__name__, place)
            unrecorded = isinstance(error, AuditError)
            status, code = (503, "unavailable") if unrecorded else (500, "internal_error")
            body = error_body(code, exchange.request_id, detail=None if self.generic else repr(error))
            headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            reply = send if unrecorded else answer
            if unrecorded:
                headers += extra
            await reply({"type": "http.response.start", "status": status, "headers": headers})
            await reply({"type": "http.response.body", "body": body})


def error_body(code, request_id, *, fields=(), detail=None):
    """Return the bytes of an error's JSON body; ``detail`` is None outside of experiments."""
    content = {"error": code, "request_id": request_id}
    if fields:
        content["fields"] = list(fields)
    if detail is not None:
        content["detail"] = detail
    return json.dumps(content).encode()


class ClientAddress:
    """Tells from an ASGI scope who is asking.

    Anybody can write X-Forwarded-For, so it counts only when the connection comes from one of the ``trusted``
    networks, and then from the right, where our own proxies wrote: up to the first address that is not theirs.
    An IPv6 client is its /64, since it can have any of those addresses.
    """

    def __init__(self, trusted=()):
        self._trusted = tuple(trusted)

    def __call__(self, scope):
        peer = scope["client"][0] if scope.get("client") else "unknown"
        if self._trusted and self._is_trusted(peer):
            lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
            for hop in reversed(b",".join(lines).decode("latin-1").split(",")):
                if _parsed(hop.strip()) is None:
                    break
                peer = hop.strip()
                if not self._is_trusted(peer):
                    break
        if ":" in peer and (address := _parsed(peer)):
            mapped = address.ipv4_mapped
            return str(mapped or ipaddress.ip_network((int(address) >> 64 << 64, 64)))
        return peer

    def _is_trusted(self, text):
        address = _parsed(text)
        return address is not None and any(address in network for network in self._trusted)


def _parsed(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
