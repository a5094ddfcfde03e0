"""The other half of the corpus: other places and spellings, written down before the scanner was tried on them."""

import base64
import json
import random

from classroom.drills.leaky.kinds import KINDS, cell, chosen, encoded, hexadecimal, notebook, shown, some, stream


def one(*cells: dict, **metadata: object) -> tuple[str, bytes]:
    return "work.ipynb", notebook(*cells, **metadata)


def failed(name: str, value: str, *frames: str) -> dict:
    return {"output_type": "error", "ename": name, "evalue": value, "traceback": list(frames)}


def old(source: list[str], output: list[str]) -> tuple[str, bytes]:
    """A notebook of version 3."""
    outputs = [{"output_type": "pyout", "prompt_number": 1, "text": output, "metadata": {}}]
    made = {"cell_type": "code", "input": source, "outputs": outputs, "language": "python", "metadata": {}}
    return "old.ipynb", json.dumps({"worksheets": [{"cells": [made]}], "metadata": {}, "nbformat": 3}).encode()


# By place: from a secret, and a name in capitals, to a file's name and bytes.
SHAPES = {
    "unpacked": lambda s, n: one(cell(f'user, {n.lower()} = "ann", "{s}"')),
    "default": lambda s, n: one(cell(f'def connect(host, *, {n.lower()}="{s}"):\n    return host')),
    "class": lambda s, n: one(cell(f"class C:\n    {n}: str = '''{s}'''")),
    "join": lambda s, n: one(cell(f'{n.lower()} = "".join(["{s[:8]}", "{s[8:16]}", "{s[16:]}"])')),
    "format": lambda s, n: one(cell(f'tail = "{s[10:]}"\n{n.lower()} = "{s[:10]}{{}}".format(tail)')),
    "percent": lambda s, n: one(cell(f'{n.lower()} = "%s%s" % ("{s[:12]}", "{s[12:]}")')),
    "bytes": lambda s, n: one(cell(f'{n.lower()} = b"{s}"')),
    "dict call": lambda s, n: one(cell(f'run(**dict(region="eu", {n.lower()}="{s}"))')),
    "text of settings": lambda s, n: one(cell(f'text = """\n[service]\n{n.lower()} = {s}\nretries = 3\n"""')),
    "json in code": lambda s, n: one(cell(f"""cfg = json.loads('{{"{n.lower()}": "{s}"}}')""")),
    "bash cell": lambda s, n: one(cell(f"%%bash\nexport {n}={s}\npython train.py")),
    "written file": lambda s, n: one(cell(f"%%writefile .env\n{n}={s}\n")),
    "system": lambda s, n: one(cell(f'import os\nos.system("export {n}={s} && ./run.sh")')),
    "subscript": lambda s, n: one(cell(f'cfg["service"]["{n.lower()}"] = "{s}"')),
    "attribute": lambda s, n: one(cell(f'cfg.{n.lower()} = "{s}"')),
    "compared": lambda s, n: one(cell(f'assert {n.lower()} == "{s}"')),
    "setenv": lambda s, n: one(cell(f'monkeypatch.setenv("{n}", "{s}")')),
    "fallback": lambda s, n: one(cell(f'value = os.environ.get("{n}", "{s}")')),
    "rows": lambda s, n: one(cell(f'env = [{{"name": "{n}", "value": "{s}"}}]')),
    "walrus": lambda s, n: one(cell(f'if ({n.lower()} := "{s}"):\n    go()')),
    "indented broken": lambda s, n: one(cell(f"  {n} = \"{s}\"\nprint 'old python'")),
    "version 3": lambda s, n: old([f'{n} = "{s}"\n', "1"], ["1"]),
    "version 3 output": lambda s, n: old(["settings"], [f"{n.lower()}='{s}'"]),
    "representation": lambda s, n: one(cell("cfg", stream(f"Settings(debug=True, {n.lower()}='{s}', retries=3)\n"))),
    "listing": lambda s, n: one(cell("!env", stream(f"PATH=/usr/bin\n{n}={s}\nHOME=/root\n"))),
    "pretty": lambda s, n: one(cell("pprint(x)", stream(["{'debug': True,\n", f" '{n.lower()}': '{s}',\n", " 'n': 3}\n"]))),
    "log": lambda s, n: one(cell("go()", stream(f"2026-11-02 10:00:01 DEBUG app: loaded {n.lower()}={s} from disk\n"))),
    "script": lambda s, n: one(cell("x", shown(text_html=f"<script>var cfg = {{\"{n.lower()}\": \"{s}\"}};</script>"))),
    "javascript": lambda s, n: one(cell("x", shown(application_javascript=f"window.{n.lower()} = '{s}';"))),
    "color 256": lambda s, n: one(cell("x", stream(f"\x1b[38;5;28m{n}\x1b[39m: \x1b[1;34m{s[:10]}\x1b[0;1m{s[10:]}\x1b[0m\n"))),
    "error": lambda s, n: one(cell("go()", failed("ValueError", f"bad option {n.lower()}='{s}'"))),
    "frame": lambda s, n: one(cell("go()", failed("E", "x", "\x1b[31mE\x1b[39m", f"  3 \x1b[38;5;66;03mdef\x1b[39m f({n.lower()}=\x1b[33m\"\x1b[39m\x1b[33m{s}\x1b[39m\x1b[33m\"\x1b[39m):"))),
    "vega": lambda s, n: one(cell("x", shown(**{"application_vnd.vegalite.v5+json": {"usermeta": {n.lower(): s}, "mark": "bar"}}))),
    "text widget": lambda s, n: one(cell("x"), widgets={"application/vnd.jupyter.widget-state+json": {"state": {"a1": {"model_name": "TextModel", "state": {"_model_name": "TextModel", "description": n.replace("_", " ").title(), "value": s}}}}}),
    "html widget": lambda s, n: one(cell("x"), widgets={"application/vnd.jupyter.widget-state+json": {"state": {"a1": {"model_name": "HTMLModel", "state": {"_model_name": "HTMLModel", "value": f"<b>{n}</b>={s}"}}}}}),
    "databricks": lambda s, n: one(cell("x"), **{"application/vnd.databricks.v1+notebook": {"widgets": {n.lower(): {"currentValue": s, "nuid": "1"}}}}),
    "parameters": lambda s, n: one(cell("x"), papermill={"parameters": {n.lower(): s}, "version": "2.7.0"}),
    "attached json": lambda s, n: one(cell("see", kind="markdown", attachments={"c.json": {"application/json": encoded(json.dumps({n.lower(): s}))}})),
    "attached script": lambda s, n: one(cell("see", kind="markdown", attachments={"run.sh": {"text/x-sh": encoded(f"#!/bin/sh\nexport {n}='{s}'\n")}})),
    "resource json": lambda s, n: one(cell("x", metadata={"colab": {"resources": {"http://localhost/a.json": {"data": encoded(json.dumps({"auth": {n.lower(): s}})), "ok": True}}}})),
    "markdown block": lambda s, n: one(cell(f"Start with\n\n```bash\nexport {n}=\"{s}\"\n```\n", kind="markdown")),
    "markdown row": lambda s, n: one(cell(f"| {n} | `{s}` |\n|---|---|\n", kind="markdown")),
    "raw yaml": lambda s, n: one(cell(f"---\n{n.lower()}: {s}\n---\n", kind="raw")),
    "ini": lambda s, n: ("app.ini", f"[service]\n{n.lower()} = {s}\n".encode()),
    "properties": lambda s, n: ("app.properties", f"spring.service.{n.lower().replace('_', '-')}={s}\n".encode()),
    "tfvars": lambda s, n: ("prod.tfvars", f'region = "eu"\n{n.lower()}   = "{s}"\n'.encode()),
    "shell": lambda s, n: ("run.sh", f"#!/bin/sh\nset -e\n{n}='{s}'; export {n}\n".encode()),
    "dockerfile": lambda s, n: ("Dockerfile", f"FROM python:3.12\nENV {n}={s}\n".encode()),
    "r": lambda s, n: ("a.R", f'Sys.setenv({n} = "{s}")\n'.encode()),
    "julia": lambda s, n: ("a.jl", f'ENV["{n}"] = "{s}"\n'.encode()),
    "kubernetes": lambda s, n: ("pod.yaml", f"env:\n  - name: {n}\n    value: {json.dumps(s)}\n".encode()),
    "yaml list": lambda s, n: ("env.yml", f"environment:\n  - {n}={s}\n  - DEBUG=1\n".encode()),
    "xml": lambda s, n: ("a.xml", f"<config><{n.lower()}>{s}</{n.lower()}></config>".encode()),
    "json5": lambda s, n: ("settings.json", f'{{\n  // mine\n  "{n.lower()}": "{s}",\n}}\n'.encode()),
    "utf-16": lambda s, n: ("notes.txt", f"{n} = {s}\r\n".encode("utf-16")),
}  # fmt: skip

# These are made of their own kind of secret.
SPECIAL = {
    "bearer": lambda r: one(cell(f'requests.get(url, headers={{"Authorization": "Bearer {some(r, 40)}"}})')),
    "bearer joined": lambda r: one(cell(f'token = "{some(r, 40)}"\nheaders = {{"Authorization": f"Bearer {{token}}"}}')),
    "verbose": lambda r: one(cell("!curl -v", stream(f"> GET / HTTP/2\n> Host: api\n> Authorization: Bearer {some(r, 64)}\n"))),
    "curl": lambda r: one(cell(f"!curl -s -u ann:{chosen(r)} https://api.internal/models")),
    "clone": lambda r: one(cell(f"!git clone https://x-access-token:{some(r, 40)}@github.com/a/b.git")),
    "login": lambda r: one(cell(f"!huggingface-cli login --token hf_{some(r, 34)}")),
    "wandb": lambda r: one(cell(f'import wandb\nwandb.login(key="{hexadecimal(r, 40)}")')),
    "sql magic": lambda r: one(cell(f"%sql postgresql://ann:{chosen(r).replace('#', '-')}@db.internal/prod")),
    "driver": lambda r: one(cell(f'"Driver=ODBC;Server=db;Uid=ann;Pwd={chosen(r)};"')),
    "netrc": lambda r: (".netrc", f"machine api.internal\n  login ann\n  password {chosen(r)}\n".encode()),
    "pip": lambda r: ("pip.conf", f"[global]\nindex-url = https://ann:{some(r, 24)}@pypi.internal/simple\n".encode()),
    "pypirc": lambda r: (".pypirc", f"[pypi]\nusername = __token__\npassword = pypi-AgEIcHlwaS5vcmc{some(r, 130)}\n".encode()),
    "npmrc": lambda r: (".npmrc", f"//registry.npmjs.org/:_authToken=npm_{some(r, 36)}\n".encode()),
    "docker": lambda r: ("config.json", json.dumps({"auths": {"registry.internal": {"auth": encoded(f"ann:{some(r, 20)}")}}}).encode()),
    "kaggle": lambda r: ("kaggle.json", json.dumps({"username": "ann", "key": hexadecimal(r, 32)}).encode()),
    "service account": lambda r: ("sa.json", json.dumps({"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\n" + encoded(r.randbytes(900)) + "\n-----END PRIVATE KEY-----\n"}).encode()),
    "ssh key": lambda r: ("id_ed25519", ("-----BEGIN OPENSSH PRIVATE KEY-----\n" + "\n".join(encoded(r.randbytes(52)) for _ in range(6)) + "\n-----END OPENSSH PRIVATE KEY-----\n").encode()),
    "key in a cell's list": lambda r: one(cell(["pem = '''-----BEGIN RSA PRIVATE KEY-----\n", *(encoded(r.randbytes(48)) + "\n" for _ in range(12)), "-----END RSA PRIVATE KEY-----'''"])),
    "azure": lambda r: one(cell(f'conn = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={base64.b64encode(r.randbytes(64)).decode()};EndpointSuffix=core.windows.net"')),
    "sas": lambda r: one(cell(f'url = "https://a.blob.core.windows.net/c/f.csv?sv=2024-05-04&se=2027-01-01&sr=b&sp=r&sig={base64.b64encode(r.randbytes(32)).decode().replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")}"')),
    "webhook": lambda r: one(cell(f'post("https://hooks.slack.com/services/T{some(r, 8, "ABCDEF0123456789")}/B{some(r, 8, "ABCDEF0123456789")}/{some(r, 24)}")')),
    "mlflow": lambda r: one(cell(f'mlflow.set_tracking_uri("https://ann:{chosen(r).replace("#", "-")}@mlflow.internal")')),
    "aws file": lambda r: ("credentials", f"[default]\naws_access_key_id = AKIA{some(r, 16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}\naws_secret_access_key = {some(r, 40)}\n".encode()),
    "jupyter": lambda r: ("jupyter_server_config.py", f"c.ServerApp.token = '{hexadecimal(r, 48)}'\n".encode()),
    "streamlit": lambda r: ("secrets.toml", f'[connections.db]\nusername = "ann"\npassword = "{chosen(r)}"\n'.encode()),
    "django": lambda r: ("settings.py", f"SECRET_KEY = 'django-insecure-{some(r, 50, 'abcdefghij0123456789!@^&*(-_=+)')}'\n".encode()),
    "celery": lambda r: ("celery.py", f'app = Celery(broker="amqp://worker:{some(r, 18)}@mq.internal:5672//")\n'.encode()),
}  # fmt: skip


def planted(seed: int = 11) -> list[tuple[str, str, bytes, str]]:
    r = random.Random(seed)
    made, kinds = [], sorted(KINDS)
    for number, (shape, build) in enumerate(SHAPES.items()):
        for step in range(2):
            kind = kinds[(11 * number + 13 * step) % len(kinds)]
            secret, name = KINDS[kind](r)
            made.append((f"{shape}: {kind}", *build(secret, name), secret))
    return made + [(f"special: {name}", *build(r), "") for name, build in SPECIAL.items()]


def benign(seed: int = 12) -> list[tuple[str, str, bytes]]:
    r = random.Random(seed)
    jpeg = b"\xff\xd8\xff\xe0" + r.randbytes(4_000)
    code = {
        "keyring": 'import keyring\npassword = keyring.get_password("db", "ann")',
        "boto": 's = boto3.client("secretsmanager")\nsecret = s.get_secret_value(SecretId="prod/db/2024")["SecretString"]',
        "dotenv": 'load_dotenv(".env")\nAPI_KEY = os.environ.get("API_KEY", "")',
        "prompt": 'token = input("Paste your token: ")',
        "assert": 'assert os.environ.get("HF_TOKEN"), "set HF_TOKEN=hf_... first"',
        "pydantic": 'class S(BaseSettings):\n    api_key: SecretStr\n    token_name: str = "access_token_v2"',
        "column": 'df["password_strength"] = "strong123"\ndf.rename(columns={"key": "customer_key_1"})',
        "labels": 'labels = {"token": "Token 1", "secret": "Secret level"}',
        "vocab": "print(tokenizer.decode([101, 2023, 102]), tokenizer.mask_token, tokenizer.cls_token)",
        "regex": r'SECRET = re.compile(r"(?i)(api[_-]?key|token)\s*[:=]\s*[A-Za-z0-9]{16,}")',
        "example aws": 'key_id = "AKIAIOSFODNN7EXAMPLE"\nsecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"',
        "stars": 'print("api_key=" + "*" * 20)\napi_key = "********************"',
        "env name": 'api_key_env_var = "OPENAI_API_KEY_2"\nget_secret("projects/1/secrets/db-password/versions/3")',
        "path": 'credentials = "/run/secrets/gcp_service_account.json"\nkey_file = "~/.ssh/id_ed25519"',
        "enum": 'class TokenType(str, Enum):\n    ACCESS_TOKEN = "access_token"\n    REFRESH_TOKEN = "refresh_token_v1"',
        "etag": f'response.headers = {{"ETag": "{hexadecimal(r, 32)}", "x-request-id": "{some(r, 22)}"}}',
        "blob": f'model = "models--gpt2/snapshots/{hexadecimal(r, 40)}/model.safetensors"',
        "image digest": f'image = "python@sha256:{hexadecimal(r, 64)}"',
        "alphabet": 'ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"',
        "curl": '!curl -H "Authorization: Bearer $HF_TOKEN" https://api.internal/whoami',
        "export": "!export WANDB_API_KEY=$(cat /run/secrets/wandb)",
        "clone": "!git clone https://github.com/a/b.git && pip install -q torch==2.6.0",
        "public": 'SUPABASE_URL = "https://abcdefghijklmnop.supabase.co"\nSTRIPE_PUBLISHABLE = "see docs"',
        "stop": 'stop_token = "<|im_end|>"\nsep_token = "</s></s>"\nnext_page_token = "CAUQAA"',
        "sql": "q = \"SELECT token, count(*) FROM usage WHERE secret = false GROUP BY token ORDER BY 2\"",
        "kwargs": 'sorted(rows, key=lambda row: row["pay_2024_usd"])\nax.legend(title="Key facts 2024")',
        "docstring": '"""Log in.\n\nExample:\n    >>> login(api_key="sk-...", password="...")\n"""',
        "empty": 'password = ""\ntoken = None\napi_key: str | None = None',
    }  # fmt: skip
    made = [(name, "work.ipynb", notebook(cell(source))) for name, source in code.items()]
    out = {
        "jpeg": shown(image_jpeg=encoded(jpeg)),
        "pdf": shown(application_pdf=encoded(b"%PDF-1.7" + r.randbytes(3_000))),
        "bokeh": shown(**{"application_vnd.bokehjs_exec.v0+json": "", "text_html": f"<script>var docs_json = {{'{hexadecimal(r, 8)}-{hexadecimal(r, 4)}': 1}}</script>"}),
        "font": shown(text_html=f"<style>@font-face{{src:url(data:font/woff2;base64,{encoded(r.randbytes(2_000))})}}</style>"),
        "frame": stream("   token  count\n0  salary    81\n1  secret    12\n"),
        "redacted": stream("Using key sk-...AbCd\ntoken: ****************\npassword=<hidden>\nAuthorization: Bearer [REDACTED]\n"),
        "rates": stream("tokens/s: 1523.4  max_new_tokens=256  pad_token_id=50256\n"),
        "weights": stream("".join(f"model.layers.{n}.self_attn.k_proj.weight: {r.random()}\n" for n in range(40))),
        "sums": stream("".join(f"{hexadecimal(r, 32)}  fold{n}.csv\n" for n in range(30))),
        "install": stream(f"Building wheel for a: filename=a-1-py3-none-any.whl size=12 sha256={hexadecimal(r, 64)}\n"),
        "trace": failed("KeyError", "'HF_TOKEN'", "\x1b[31mKeyError\x1b[39m: 'HF_TOKEN'"),
        "wandb": stream(f"wandb: Syncing run lucky-sea-12\nwandb: View run at https://wandb.ai/a/b/runs/{some(r, 8).lower()}\n"),
        "mlflow": stream(f"run {hexadecimal(r, 32)} finished; artifact_uri=mlflow-artifacts:/0/{hexadecimal(r, 32)}/artifacts\n"),
        "warning": stream("UserWarning: The secret `HF_TOKEN` does not exist in your Colab secrets.\n"),
        "list": stream(str([some(r, 9) for _ in range(150)])),
    }  # fmt: skip
    made += [(name, "work.ipynb", notebook(cell("show()", output))) for name, output in out.items()]
    made += [
        ("widget view", *one(cell("x", shown(**{"application_vnd.jupyter.widget-view+json": {"model_id": hexadecimal(r, 32), "version_major": 2}})))),
        ("slider", *one(cell("x"), widgets={"application/vnd.jupyter.widget-state+json": {"state": {hexadecimal(r, 32): {"model_name": "FloatProgressModel", "state": {"_model_name": "FloatProgressModel", "layout": f"IPY_MODEL_{hexadecimal(r, 32)}", "value": 1}}}}})),
        ("empty password widget", *one(cell("x"), widgets={"application/vnd.jupyter.widget-state+json": {"state": {"a": {"model_name": "PasswordModel", "state": {"_model_name": "PasswordModel", "value": ""}}}}})),
        ("attached photo", *one(cell("![](attachment:a.jpg)", kind="markdown", attachments={"a.jpg": {"image/jpeg": encoded(jpeg)}}))),
        ("colab", *one(cell("x", metadata={"id": some(r, 12), "executionInfo": {"status": "ok", "timestamp": 1_760_000_000_000, "user": {"userId": "0" * 20}}}), colab={"provenance": [], "authorship_tag": f"ABX9{some(r, 24)}"})),
        ("kaggle metadata", *one(cell("x"), kaggle={"accelerator": "none", "dataSources": [{"sourceId": 31254, "databundleVersionId": 3_103_714}]})),
        ("resource image", *one(cell("x", metadata={"colab": {"resources": {"http://localhost/a.png": {"data": encoded(jpeg), "ok": True}}}}))),
        ("conda", "environment.yml", b"name: a\ndependencies:\n  - python=3.12\n  - tokenizers=0.20.1\n  - pip:\n      - secretstorage==3.3.3\n"),
        ("uv lock", "uv.lock", "".join(f'sdist = {{ url = "https://files.pythonhosted.org/packages/{hexadecimal(r, 2)}/{hexadecimal(r, 60)}/a-{n}.tar.gz", hash = "sha256:{hexadecimal(r, 64)}" }}\n' for n in range(30)).encode()),
        ("merges", "merges.txt", "".join(f"{some(r, 3)} {some(r, 4)}\n" for _ in range(300)).encode()),
        ("special tokens", "special_tokens_map.json", json.dumps({"bos_token": {"content": "<|begin_of_text|>", "lstrip": False}, "pad_token": "<|finetune_right_pad_id|>"}).encode()),
        ("model card", "README.md", b"Set `HF_TOKEN` (see hf.co/settings/tokens).\n\n    export HF_TOKEN=hf_your_token_here\n    api_key=<YOUR KEY>\n"),
        ("helm", "values.yaml", b"auth:\n  existingSecret: db-credentials\n  secretKeys:\n    passwordKey: db-password\n  token: {{ .Values.token }}\n"),
        ("vault yaml", "secrets.yaml", b"password: ENC[AES256_GCM,data:x,iv:y]\nremote: vault:secret/data/prod#token\n"),
        ("schema", "schema.json", json.dumps({"properties": {"password": {"type": "string", "format": "password"}, "token": {"description": "An access token, at least 32 characters"}}}).encode()),
        ("actions", "deploy.yaml", b"permissions:\n  id-token: write\njobs:\n  a:\n    with:\n      token: ${{ secrets.GITHUB_TOKEN }}\n"),
        ("changes", "CHANGELOG.md", f"- fix token refresh ({hexadecimal(r, 40)})\n- password reset (#12345678)\n".encode()),
        ("translations", "de.json", json.dumps({"password": "Passwort", "forgot_password": "Passwort vergessen?", "token": "Zugriffstoken"}).encode()),
        ("sqlite", "a.db", b"SQLite format 3\0" + r.randbytes(2_000)),
        ("minified", "a.js", ("!function(e,t){" + ";".join(f"{some(r, 2)}.key={some(r, 3)}.token" for _ in range(200)) + "}").encode()),
        ("certificate", "ca.pem", ("-----BEGIN CERTIFICATE-----\n" + encoded(r.randbytes(900)) + "\n-----END CERTIFICATE-----\n").encode()),
        ("terraform", "main.tf", b'variable "db_password" {\n  type      = string\n  sensitive = true\n}\npassword = var.db_password\n'),
    ]  # fmt: skip
    made += [
        (
            f"plain {n}",
            "work.ipynb",
            notebook(cell(f"y{n} = model.fit(x, epochs={n})", stream(f"epoch {n}: loss {r.random()}\n" * 30))),
        )
        for n in range(20)
    ]
    return made
