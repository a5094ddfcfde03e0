"""The ways in which a request is refused. A client learns the status, a fixed code, and nothing that it sent."""

import math


class Refusal(Exception):  # noqa: N818 - a refusal is an answer, not a failure of ours
    """A refused request; of itself, one whose body is no JSON.

    ``detail`` is for the service's own developers and never leaves it. ``fields`` names fields of the schema, never
    of the input; ``headers`` go out with the answer.
    """

    status, code = 400, "bad_request"

    def __init__(self, detail="", *, fields=(), headers=None):
        super().__init__(detail)
        self.detail, self.fields, self.headers = detail, list(fields), headers or {}

    @classmethod
    def kinds(cls):
        """Every way to refuse, this class first."""
        return [cls, *cls.__subclasses__()]


class Unauthorized(Refusal):
    """No key, or none that is known."""

    status, code = 401, "unauthorized"

    def __init__(self):
        super().__init__(headers={"WWW-Authenticate": 'ApiKey realm="salary"'})


class Forbidden(Refusal):
    """A known key without the scope that is needed."""

    status, code = 403, "forbidden"


class SlowBody(Refusal):
    """The body did not arrive in time."""

    status, code = 408, "timeout"


class BodyTooLarge(Refusal):
    """The body is larger than the service reads."""

    status, code = 413, "body_too_large"


class NotJson(Refusal):
    """The body says that it is something other than JSON in UTF-8."""

    status, code = 415, "unsupported_media_type"


class InvalidFields(Refusal):
    """JSON, but not of the form that the model takes."""

    status, code = 422, "invalid_fields"


class TooMany(Refusal):
    """A limit is used up; ``wait`` in seconds."""

    status, code = 429, "too_many_requests"

    def __init__(self, wait):
        super().__init__(headers={"Retry-After": str(max(1, math.ceil(wait)))})


class Unavailable(Refusal):
    """Something that the service cannot do without does not work: it refuses rather than go on unprotected."""

    status, code = 503, "unavailable"

    def __init__(self, detail):
        super().__init__(detail, headers={"Retry-After": "5"})
