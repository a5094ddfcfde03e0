"""Configuration of the service: from the environment, checked at start-up, never changed afterwards."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, IPvAnyNetwork, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from mlsecops.audit_log import derive
from mlsecops.serving.keys import Key

Count = Annotated[int, Field(ge=1)]


class Settings(BaseSettings):
    """Every field can come from the environment variable SALARY_<NAME>; lists are given as JSON.

    Without a secret the service does not start: there is no default that somebody could forget to change.
    """

    model_config = SettingsConfigDict(env_prefix="SALARY_", frozen=True, extra="forbid", hide_input_in_errors=True)

    secret: Annotated[SecretStr, Field(min_length=32)]  # all of the service's keys are derived from it
    api_keys: tuple[Key, ...] = ()

    requests_per_minute: Count = 60  # per API key
    address_requests_per_minute: Count = 300  # per address, all its keys together
    failures_per_minute: Count = 20  # per address: wrong keys and paths that do not exist
    query_budget: Count = 1000  # predictions per owner of keys …
    budget_days: Annotated[float, Field(gt=0)] = 1.0  # … in this time
    redis_url: SecretStr | None = None  # redis://…: limits shared by all workers; each its own where absent

    max_body_bytes: Count = 4096
    body_seconds: Annotated[float, Field(gt=0)] = 5.0  # a body that takes longer is given up

    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()  # only these peers' X-Forwarded-For is believed
    cors_origin: str | None = None  # the one web page that may call us from a browser
    docs: bool = False  # /docs, /redoc and /openapi.json, for development

    audit_folder: Path | None = None  # one chain per worker: audit-0.jsonl, audit-1.jsonl, …
    anchor_folder: Path | None = None  # where the heads of the chains are noted; not within reach of the service's host
    anchor_every: Count = 100  # lines
    segment_bytes: Annotated[int, Field(ge=1 << 16)] = 100_000_000  # a chain's file is closed when it is larger …
    segment_days: Annotated[float, Field(gt=0)] | None = None  # … or older

    def derive(self, purpose: str) -> bytes:
        """The key for one purpose (see `derive`)."""
        return derive(self.secret.get_secret_value(), purpose)
