"""A salary service that holds: each module is one subject, and `app` puts them together.

``settings``     what is configured, and from where (the environment)
``keys``         API keys: made, stored as hashes, looked up, rotated
``rate_limits``  how many uses of something pass in a sliding window; in memory or shared through Redis
``query``        a request body: read up to a limit, parsed, checked against what the model was trained on
``interval``     one prediction and its conformal interval
``envelope``     what wraps every answer: request id, security headers, errors without detail, the audit line
``record``       the audit line itself, and what strangers share (the log it goes to: `mlsecops.audit_log`)
``app``          ``create_app(model, settings)``
``run``          uvicorn, TLS, and the command line's ``serve``
"""

from mlsecops.audit_log import AuditLog, read_anchor, verify_audit_log
from mlsecops.serving.app import CONTROLS, create_app
from mlsecops.serving.interval import calibrate, held_out
from mlsecops.serving.keys import Key, KeyRing, issue_key
from mlsecops.serving.rate_limits import Limit, MemoryLimiter, SharedLimiter
from mlsecops.serving.settings import Settings, derive

__all__ = [
    "CONTROLS",
    "AuditLog",
    "Key",
    "KeyRing",
    "Limit",
    "MemoryLimiter",
    "Settings",
    "SharedLimiter",
    "calibrate",
    "create_app",
    "derive",
    "held_out",
    "issue_key",
    "read_anchor",
    "verify_audit_log",
]
