"""What the service writes into its audit log: a line a request; strangers share a bounded number of lines a minute."""

import hmac
import json

STRANGERS = 24  # addresses a minute that have lines of their own
PATHS = 32  # different paths that are counted of one address in a minute


class Record:
    """Writes requests into ``audit`` (an AuditLog); addresses are hashed with ``address_key`` (bytes).

    A log that stops the service when it is full must not be one that anybody can fill. So who proved no key has one
    line for the first request of an address in a minute; the others of that minute are counted, and one line says how
    many when it is over: ``"event":"strangers"`` with ``count``, ``first`` and ``last`` (seconds since 1970),
    ``statuses`` (how often which), ``paths`` (how many different ones), and the last ``path``, ``method`` and
    ``status``. Beyond 24 addresses a minute all others share one such line, whose ``address`` is null. A crash loses
    the counts of the minute.
    """

    def __init__(self, audit, address_key):
        self.audit, self._address_key = audit, address_key
        self._minute, self._counted = None, {}

    def request(self, time, exchange, method, path, status):
        """Write or count one request. Raises AuditError when something that is due cannot be written."""
        line = {
            "time": round(time, 3),
            "request_id": exchange.request_id,
            "key_id": exchange.key_id,
            # Keyed: the few billion addresses there are could all be tried against a plain hash.
            "address": hmac.digest(self._address_key, exchange.address.encode(), "sha256").hex()[:32],
            "method": method[:16],
            "path": _cut(path),
            "status": status,
            "features": exchange.features,  # as validated; what was refused is not kept
        }
        self.flush(time)
        if exchange.key_id is not None:
            self.audit.append(line)
            return
        address = line["address"]
        if address not in self._counted and len(self._counted) < STRANGERS:
            self.audit.append(line)
            self._counted[address] = None
            return
        if address not in self._counted:
            address = None
        self._counted[address] = _added(self._counted.get(address), line, address)

    def flush(self, time):
        """Write what was counted, if its minute is over at ``time`` (seconds since 1970). Raises AuditError."""
        if time // 60 != self._minute:
            self._write_counts()
            self._minute = time // 60

    def close(self):
        """Write what was counted and close the log. Raises AuditError when it cannot be written."""
        try:
            self._write_counts()
        finally:
            self.audit.close()

    def _write_counts(self):
        for address in list(self._counted):
            if summary := self._counted[address]:
                self.audit.append(summary | {"paths": len(summary["paths"])})
            del self._counted[address]  # one by one: what could not be written is kept


def _added(summary, line, address):
    """Return the summary (dict, or None) with one more line in it."""
    if summary is None:
        summary = {"time": line["time"], "event": "strangers", "key_id": None, "address": address, "count": 0}
        summary |= {"first": line["time"], "statuses": {}, "paths": set()}
    summary["count"] += 1
    status = str(line["status"])
    summary["statuses"][status] = summary["statuses"].get(status, 0) + 1
    if len(summary["paths"]) < PATHS:
        summary["paths"].add(line["path"])
    last = {name: line[name] for name in ("time", "method", "path", "status", "features")}
    return summary | last | {"last": line["time"]}


def _cut(text, most=200):
    """Return the beginning of a text that takes up at most ``most`` characters of JSON."""
    text = text[:most]
    while (surplus := len(json.dumps(text)) - 2 - most) > 0:
        text = text[: -max(1, surplus // 12)]  # no character takes more than twelve
    return text
