"""Made-up secrets in the formats of their kinds, and how a notebook is put together. Nothing here ever opened a door."""

import base64
import json
import random
import string

LETTERS = string.ascii_letters + string.digits


def some(r: random.Random, count: int, among: str = LETTERS) -> str:
    return "".join(r.choice(among) for _ in range(count))


def hexadecimal(r: random.Random, count: int) -> str:
    return some(r, count, "0123456789abcdef")


def chosen(r: random.Random) -> str:
    """A password as people choose one."""
    words = ("Harbor", "Winter", "Copper", "Tiger", "Maple", "Rocket", "Summit", "Falcon")
    return f"{r.choice(words)}{r.choice('!_#-')}{r.choice(words).lower()}{r.randint(10, 99)}"


def pem(r: random.Random) -> str:
    body = base64.b64encode(r.randbytes(600)).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----"


def jwt(r: random.Random) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": some(r, 8), "iat": r.randint(10**9, 2 * 10**9)})
    head = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*head, some(r, 43)])


# By kind: a secret, and the name that it would be given.
KINDS = {
    "openai": lambda r: (f"sk-proj-{some(r, 48)}", "OPENAI_API_KEY"),
    "openai old": lambda r: (f"sk-{some(r, 48)}", "openai_api_key"),
    "anthropic": lambda r: (f"sk-ant-api03-{some(r, 80)}-{some(r, 6)}AA", "ANTHROPIC_API_KEY"),
    "openrouter": lambda r: (f"sk-or-v1-{hexadecimal(r, 64)}", "OPENROUTER_API_KEY"),
    "hugging face": lambda r: (f"hf_{some(r, 34)}", "HF_TOKEN"),
    "github": lambda r: (f"ghp_{some(r, 36)}", "GITHUB_TOKEN"),
    "github fine": lambda r: (f"github_pat_{some(r, 22)}_{some(r, 59)}", "GH_PAT"),
    "gitlab": lambda r: (f"glpat-{some(r, 20)}", "GITLAB_TOKEN"),
    "aws id": lambda r: ("AKIA" + some(r, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), "AWS_ACCESS_KEY_ID"),
    "aws secret": lambda r: (some(r, 40, LETTERS + "+/"), "AWS_SECRET_ACCESS_KEY"),
    "google": lambda r: (f"AIza{some(r, 35)}", "GOOGLE_API_KEY"),
    "azure storage": lambda r: (base64.b64encode(r.randbytes(64)).decode(), "AZURE_STORAGE_ACCOUNT_KEY"),
    "slack": lambda r: (f"xoxb-{r.randint(10**11, 10**12)}-{r.randint(10**11, 10**12)}-{some(r, 24)}", "SLACK_BOT_TOKEN"),
    "stripe": lambda r: (f"sk_live_{some(r, 24)}", "STRIPE_SECRET_KEY"),
    "sendgrid": lambda r: (f"SG.{some(r, 22)}.{some(r, 43)}", "SENDGRID_API_KEY"),
    "wandb": lambda r: (hexadecimal(r, 40), "WANDB_API_KEY"),
    "kaggle": lambda r: (hexadecimal(r, 32), "KAGGLE_KEY"),
    "databricks": lambda r: (f"dapi{hexadecimal(r, 32)}", "DATABRICKS_TOKEN"),
    "pypi": lambda r: (f"pypi-AgEIcHlwaS5vcmc{some(r, 120)}", "TWINE_PASSWORD"),
    "npm": lambda r: (f"npm_{some(r, 36)}", "NPM_TOKEN"),
    "replicate": lambda r: (f"r8_{some(r, 37)}", "REPLICATE_API_TOKEN"),
    "groq": lambda r: (f"gsk_{some(r, 52)}", "GROQ_API_KEY"),
    "telegram": lambda r: (f"{r.randint(10**8, 10**10 - 1)}:AA{some(r, 33)}", "TELEGRAM_BOT_TOKEN"),
    "password": lambda r: (chosen(r), "DB_PASSWORD"),
    "generic": lambda r: (some(r, 32), "SERVICE_API_KEY"),
    "jwt": lambda r: (jwt(r), "SUPABASE_SERVICE_KEY"),
    "vault": lambda r: (f"hvs.{some(r, 90)}", "VAULT_TOKEN"),
    "langsmith": lambda r: (f"lsv2_pt_{hexadecimal(r, 32)}_{hexadecimal(r, 10)}", "LANGSMITH_API_KEY"),
    "cohere": lambda r: (some(r, 40), "COHERE_API_KEY"),
    "uuid": lambda r: (f"{hexadecimal(r, 8)}-{hexadecimal(r, 4)}-4{hexadecimal(r, 3)}-a{hexadecimal(r, 3)}-{hexadecimal(r, 12)}",
                       "HEROKU_API_KEY"),
}  # fmt: skip


def cell(
    source: str | list[str], *outputs: dict, kind: str = "code", identifier: str = "c0ffee01", **more: object
) -> dict:
    made = {"cell_type": kind, "id": identifier, "metadata": {}, "source": source} | more
    return ({"outputs": list(outputs), "execution_count": 1} if kind == "code" else {}) | made


def stream(text: str) -> dict:
    return {"output_type": "stream", "name": "stdout", "text": text}


def shown(**data: object) -> dict:
    """An output in types such as ``text_html="…"``."""
    bundle = {name.replace("_", "/", 1).replace("__", "+"): value for name, value in data.items()}
    return {"output_type": "display_data", "metadata": {}, "data": bundle}


def notebook(*cells: dict, **metadata: object) -> bytes:
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    content = {"cells": list(cells), "metadata": kernel | metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1).encode()


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
