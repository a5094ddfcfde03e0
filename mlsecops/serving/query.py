"""A query: its bytes, its JSON, its fields. Whatever is not exactly what the model was trained on is refused."""

import asyncio
import json
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, create_model

from mlsecops.serving.errors import BodyTooLarge, InvalidFields, NotJson, Refusal, SlowBody

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


def query_schema(metadata):
    """Return the pydantic model of a query, made from a model's metadata: fields, bounds and countries.

    Strict: ``"5"`` and ``true`` are no numbers, ``"yes"`` is no bool, and a field too many is an error.
    """
    # Countries are compared after NFKC, so that full-width letters or a ligature do not make a country unknown.
    countries = {unicodedata.normalize("NFKC", name): name for name in metadata["countries"]}

    def known(country):
        try:
            return countries[unicodedata.normalize("NFKC", country).strip()]
        except KeyError:
            raise ValueError("not a country that the model knows") from None

    fields = {
        "country": (
            Annotated[str, Field(max_length=100, json_schema_extra={"enum": list(countries)}), AfterValidator(known)],
            ...,
        )
    }
    for name, (low, high) in metadata["bounds"].items():
        fields[name] = (bool if name.startswith("uses_") else Annotated[float, Field(ge=low, le=high)], ...)
    return create_model("SalaryQuery", __config__=STRICT, **{name: fields[name] for name in metadata["features"]})


def lax_schema(metadata):
    """The same fields without any of the care: what the control is measured against."""
    kinds = {name: bool if name.startswith("uses_") else float for name in metadata["bounds"]} | {"country": str}
    return create_model("LaxQuery", **{name: (kind, ...) for name, kind in kinds.items()})


async def read_body(request, most, seconds):
    """Return the request's body, at most ``most`` bytes read in at most ``seconds``, announced size or not.

    Raises BodyTooLarge as soon as it is known, SlowBody, or Refusal when the client is gone. (Starlette has such a
    limit, too, but turns a 401 into a 413 and waits forever.)
    """
    if _announced(request) > most:
        raise BodyTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise Refusal("the client is gone")
                body += message.get("body", b"")
                if len(body) > most:
                    raise BodyTooLarge
                more = message.get("more_body", False)
    except TimeoutError:
        raise SlowBody from None
    return bytes(body)


def _announced(request):
    try:
        return int(request.headers.get("content-length", 0))
    except ValueError:
        raise Refusal("Content-Length is no number") from None


def check_media_type(request):
    """Raise NotJson unless the headers announce JSON, in UTF-8, not compressed, and say so once."""
    types = request.headers.getlist("content-type")
    kind, _, parameter = (types[0] if len(types) == 1 else "").lower().partition(";")
    if kind.strip() != "application/json" or parameter.replace('"', "").strip() not in ("", "charset=utf-8"):
        raise NotJson
    if "content-encoding" in request.headers:
        raise NotJson


def parse_query(body, schema):
    """Return the ``schema`` instance that the bytes ``body`` hold. Raises Refusal (no JSON), InvalidFields."""
    try:
        # json.loads(bytes) would guess at UTF-16 and UTF-32; and it keeps the last of several equal keys.
        content = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # also what is not UTF-8, and integers of thousands of digits
        raise Refusal(repr(error)) from None
    return validated(content, schema)


def validated(content, schema):
    """Return parsed JSON as an instance of ``schema``. Raises InvalidFields, which names the schema's fields only."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        problems = error.errors()
        places = {place for problem in problems for place in problem["loc"][:1]}
        raise InvalidFields(repr(problems), fields=[name for name in schema.model_fields if name in places]) from None


def _no_duplicates(pairs):
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key appears twice")
    return found


def _no_constant(name):
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
