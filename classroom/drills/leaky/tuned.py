"""The half of the corpus that the scanner was written against: secrets as code, output and configuration have them."""

import json
import random

from classroom.drills.leaky.kinds import KINDS, cell, chosen, encoded, hexadecimal, notebook, pem, shown, some, stream

# By place: from a secret and its name to a file, its name and its bytes.
SHAPES = {
    "assigned": lambda r, s, n: ("a.ipynb", notebook(cell(f"import os\n{n} = {s!r}\nprint(1)"))),
    "environment": lambda r, s, n: ("a.ipynb", notebook(cell(f'import os\nos.environ["{n}"] = "{s}"'))),
    "keyword": lambda r, s, n: ("a.ipynb", notebook(cell(f'client = Client(model="m", api_key="{s}")'))),
    "dictionary": lambda r, s, n: (
        "a.ipynb",
        notebook(cell(["settings = {\n", "    'host': 'db.internal',\n", f"    '{n.lower()}': '{s}',\n", "}"])),
    ),
    "joined": lambda r, s, n: ("a.ipynb", notebook(cell(f'{n} = "{s[:7]}" + "{s[7:15]}" + (\n    "{s[15:]}")'))),
    "f-string": lambda r, s, n: ("a.ipynb", notebook(cell(f'start = "{s[:9]}"\n{n} = f"{{start}}{s[9:]}"'))),
    "magic": lambda r, s, n: ("a.ipynb", notebook(cell(f"%env {n}={s}\n1 + 1"))),
    "shell": lambda r, s, n: ("a.ipynb", notebook(cell(f'!{n}="{s}" python train.py'))),
    "commented": lambda r, s, n: ("a.ipynb", notebook(cell(f"# {n} = '{s}'\nx = 1"))),
    "does not parse": lambda r, s, n: ("a.ipynb", notebook(cell(f'{n} = "{s}"\nfor x in'))),
    "printed": lambda r, s, n: (
        "a.ipynb",
        notebook(cell("print(config)", stream(f"{{'{n}': '{s}', 'debug': True}}\n"))),
    ),
    "escaped": lambda r, s, n: ("a.ipynb", notebook(cell("x", stream(json.dumps(json.dumps({n: s})))))),
    "colored": lambda r, s, n: (
        "a.ipynb",
        notebook(cell("x", stream(f"\x1b[1m{n}\x1b[0m=\x1b[32m{s[:6]}\x1b[36m{s[6:]}\x1b[0m\n"))),
    ),
    "table": lambda r, s, n: (
        "a.ipynb",
        notebook(cell("df", shown(text_html=f"<table><tr><td>{n}={s[:5]}<b>{s[5:]}</b></td></tr></table>"))),
    ),
    "json output": lambda r, s, n: ("a.ipynb", notebook(cell("x", shown(application_json={"a": [{n: s}]})))),
    "traceback": lambda r, s, n: (
        "a.ipynb",
        notebook(
            cell(
                "connect()",
                {
                    "output_type": "error",
                    "ename": "ConnectionError",
                    "evalue": "refused",
                    "traceback": [
                        f"\x1b[0;32m----> 1\x1b[0m connect({n}=\x1b[34m'{s}'\x1b[0m)",
                        "ConnectionError: refused",
                    ],
                },
            )
        ),
    ),
    "cell metadata": lambda r, s, n: ("a.ipynb", notebook(cell("x", metadata={"papermill": {"parameters": {n: s}}}))),
    "metadata": lambda r, s, n: ("a.ipynb", notebook(cell("x"), environment=[{"name": n, "value": s}])),
    "widget": lambda r, s, n: (
        "a.ipynb",
        notebook(
            cell("x"),
            widgets={
                "application/vnd.jupyter.widget-state+json": {
                    "state": {
                        hexadecimal(r, 32): {
                            "model_module": "@jupyter-widgets/controls",
                            "model_name": "PasswordModel",
                            "state": {"_model_name": "PasswordModel", "description": "Key", "value": s},
                        }
                    }
                }
            },
        ),
    ),
    "attachment": lambda r, s, n: (
        "a.ipynb",
        notebook(cell("![](env.txt)", kind="markdown", attachments={"env.txt": {"text/plain": encoded(f"{n}={s}\n")}})),
    ),
    "colab resource": lambda r, s, n: (
        "a.ipynb",
        notebook(
            cell(
                "x",
                metadata={
                    "colab": {
                        "resources": {
                            "http://localhost:8080/config.js": {
                                "data": encoded(f"window.config = {{{n}: '{s}'}};"),
                                "headers": [["content-type", "application/javascript"]],
                                "ok": True,
                                "status": 200,
                            }
                        }
                    }
                },
            )
        ),
    ),
    "markdown": lambda r, s, n: ("a.ipynb", notebook(cell(f"Set `{n}={s}` and run all.", kind="markdown"))),
    "raw": lambda r, s, n: ("a.ipynb", notebook(cell(f"export {n}={s}", kind="raw"))),
    "dotenv": lambda r, s, n: (".env.local", f"DEBUG=1\n{n}={s}\n".encode()),
    "yaml": lambda r, s, n: ("config.yaml", f"service:\n  {n.lower()}: {json.dumps(s)}\n  retries: 3\n".encode()),
    "toml": lambda r, s, n: ("config.toml", f"[service]\n{n.lower()} = {json.dumps(s)}\n".encode()),
    "json": lambda r, s, n: ("config.json", json.dumps({"service": {n: s}}, indent=2).encode()),
    "python": lambda r, s, n: ("settings.py", f"class Settings:\n    {n.lower()}: str = {s!r}\n".encode()),
}


def planted(seed: int = 1) -> list[tuple[str, str, bytes, str]]:
    """What has to be found, one secret a file: a label, the file's name, its bytes, and the secret."""
    r = random.Random(seed)
    made, kinds = [], list(KINDS)
    for number, (shape, build) in enumerate(SHAPES.items()):
        for step in range(4):
            kind = kinds[(5 * number + 7 * step) % len(kinds)]
            secret, name = KINDS[kind](r)
            made.append((f"{shape}: {kind}", *build(r, secret, name), secret))
    for scheme in ("postgresql", "mysql+pymysql", "mongodb+srv", "redis", "https", "amqp"):
        secret = chosen(r).replace("#", "-")
        made.append(
            (scheme, "a.ipynb", notebook(cell(f'engine = connect("{scheme}://ann:{secret}@db.internal/prod")')), secret)
        )
    secret = pem(r)
    made.append(("private key in a cell", "a.ipynb", notebook(cell(f'KEY = """{secret}"""')), secret))
    made.append(
        ("private key", "sa.json", json.dumps({"type": "service_account", "private_key": secret}).encode(), secret)
    )
    return made


def benign(seed: int = 2) -> list[tuple[str, str, bytes]]:
    """What must be left alone."""
    r = random.Random(seed)
    png = b"\x89PNG\r\n\x1a\n" + r.randbytes(3_000)
    code = {
        "environment": 'import os\ntoken = os.environ["HF_TOKEN"]\nkey = os.getenv("OPENAI_API_KEY")',
        "typed": 'from getpass import getpass\npassword = getpass("Password: ")',
        "colab": 'from google.colab import userdata\nHF_TOKEN = userdata.get("HF_TOKEN")',
        "your key": 'openai.api_key = "YOUR_API_KEY"\nOPENAI_API_KEY = "sk-..."',
        "angle": 'client = Client(api_key="<your-api-key>", token="{{ token }}")',
        "xxx": 'api_key = "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"',
        "tokenizer": 'tokenizer.pad_token = "[PAD]"\ntokenizer.add_special_tokens({"sep_token": "<|endoftext|>"})',
        "model": 'tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")\nmax_tokens = 512\ntoken_type_ids = [0, 1]',
        "uuid": f'run_id = "{hexadecimal(r, 8)}-{hexadecimal(r, 4)}-4{hexadecimal(r, 3)}-8{hexadecimal(r, 3)}-{hexadecimal(r, 12)}"',
        "sha": f'EXPECTED_SHA256 = "{hexadecimal(r, 64)}"\nassert digest == EXPECTED_SHA256',
        "md5": f'files = {{"data.csv": "md5:{hexadecimal(r, 32)}"}}',
        "commit": f'revision = "{hexadecimal(r, 40)}"',
        "public key": f'public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{some(r, 43)} ann@desk"',
        "words": 'secret_santa = "Elizabeth Bennet"\npassword_field = "password"\nkeyword = "salary"',
        "html name": 'page.fill("input[name=password]", os.environ["PASSWORD"])',
        "sort": 'rows.sort(key="salary_in_usd_2024")\nforeign_key = "customers.id_2024"',
        "placeholder": 'password = "changeme"\nsecret_key = "replace-this-with-your-own"',
        "docs": 'url = "postgresql://user:password@localhost:5432/db"',
        "url": 'mlflow.set_tracking_uri("http://localhost:5000")',
        "test": 'assert login(password="test") == 401\ntoken = "dummy-token-for-tests"',
        "config": 'secret = config["service"]["secret"]\napi_key = settings.api_key',
        "vault": 'token = client.secrets.kv.read_secret("prod/api")["data"]["token"]',
        "aws role": 'role = "arn:aws:iam::123456789012:role/training"',
        "seed": "np.random.seed(20240117)\ntoken_count = 128_000",
        "error": 'raise ValueError("invalid password: at least 12 characters")',
        "hash": 'password_hash = "$2b$12$K3Jx0nq6GQ1yS8Zr7v5bUeV5g1m9v2dXo8zqjQ7cJkF0aB1cD2eFg"',
        "dataset": 'df = pd.read_csv("https://raw.githubusercontent.com/a/b/main/data.csv?token=main")',
    }
    made = [(name, "a.ipynb", notebook(cell(source))) for name, source in code.items()]
    out = {
        "image": shown(image_png=encoded(png)),
        "svg": shown(image_svg__xml=f"<svg><path d='M{' '.join(str(r.random()) for _ in range(300))}'/></svg>"),
        "plotly": shown(application_json={"data": [{"x": {"bdata": encoded(r.randbytes(4_000)), "dtype": "f8"}}]}),
        "widget view": shown(**{"application_vnd.jupyter.widget-view+json": {"model_id": hexadecimal(r, 32)}}),
        "table": shown(
            text_html="<table><tr><th>token</th><th>count</th></tr><tr><td>salary</td><td>81</td></tr></table>"
        ),
        "masked": stream(
            "AuthenticationError: 401 Incorrect API key provided: sk-proj-********************************AbCd\n"
        ),
        "progress": stream("".join(f"\rDownloading: {n}%|{'#' * (n // 10)}" for n in range(0, 101, 5))),
        "hashes": stream("\n".join(f"{hexadecimal(r, 64)}  part-{n}.parquet" for n in range(20))),
        "pip": stream("Collecting torch==2.6.0\n  Using cached torch-2.6.0-cp311-cp311-linux_x86_64.whl (766.7 MB)\n"),
        "vocabulary": stream("[" + ", ".join(f"'{some(r, 6)}'" for _ in range(200)) + "]"),
        "layer": stream("encoder.layer.0.attention.self.key.weight: torch.Size([768, 768])\n" * 5),
        "tensor": stream(f"tensor([{', '.join(str(r.random()) for _ in range(60))}])"),
        "git": stream(f"commit {hexadecimal(r, 40)}\nAuthor: Ann <ann@desk>\n\n    token bucket\n"),
    }
    made += [(name, "a.ipynb", notebook(cell("show()", output))) for name, output in out.items()]
    image = {"image.png": {"image/png": encoded(png)}}
    made += [
        ("attached image", "a.ipynb", notebook(cell("![](attachment:image.png)", kind="markdown", attachments=image))),
        ("interpreter", "a.ipynb", notebook(cell("1"), interpreter={"hash": hexadecimal(r, 64)}, vscode={"interpreter": {"hash": hexadecimal(r, 64)}})),
        ("cell ids", "a.ipynb", notebook(*(cell("1", identifier=hexadecimal(r, 8)) for _ in range(30)))),
        ("colab ids", "a.ipynb", notebook(cell("1", metadata={"id": some(r, 12), "outputId": hexadecimal(r, 36)}), colab={"provenance": []})),
        ("prose", "a.ipynb", notebook(cell("Never write `password = ...` into a cell; use a token instead.", kind="markdown"))),
        ("lock", "poetry.lock", "".join(f'    {{file = "a-{n}.whl", hash = "sha256:{hexadecimal(r, 64)}"}},\n' for n in range(50)).encode()),
        ("npm lock", "package-lock.json", json.dumps({"packages": {f"p{n}": {"integrity": f"sha512-{encoded(r.randbytes(64))}"} for n in range(20)}}).encode()),
        ("requirements", "requirements.txt", "".join(f"a=={n} --hash=sha256:{hexadecimal(r, 64)}\n" for n in range(20)).encode()),
        ("example env", ".env.example", b"OPENAI_API_KEY=\nDB_PASSWORD=changeme\nSECRET_KEY=your-secret-key-here\nHF_TOKEN=hf_xxx\n"),
        ("tokenizer", "tokenizer.json", json.dumps({"added_tokens": [{"id": n, "content": f"<extra_{n}>"} for n in range(50)], "model": {"vocab": {some(r, 5): n for n in range(500)}}}).encode()),
        ("tokenizer config", "tokenizer_config.json", json.dumps({"bos_token": "<s>", "unk_token": {"content": "<unk>"}, "tokenizer_class": "LlamaTokenizer"}).encode()),
        ("compose", "docker-compose.yml", b"services:\n  db:\n    environment:\n      POSTGRES_PASSWORD: ${DB_PASSWORD}\n      TOKEN_FILE: /run/secrets/token\n"),
        ("workflow", "ci.yml", b"env:\n  HF_TOKEN: ${{ secrets.HF_TOKEN }}\njobs:\n  a:\n    steps:\n      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8\n"),
        ("settings", "settings.toml", b'[auth]\ntoken_url = "https://login.internal/token"\npassword_min_length = 12\napi_key_env = "OPENAI_API_KEY"\n'),
        ("csv", "data.csv", "".join(f"{n},{some(r, 12)},{r.random()}\n" for n in range(400)).encode()),
        ("data uri", "page.html", f'<img src="data:image/png;base64,{encoded(png)}">'.encode()),
        ("binary", "model.bin", r.randbytes(5_000)),
        ("ruff", "pyproject.toml", b'[tool.x]\nkeys = ["a", "b"]\npassword-rules = "strong"\n'),
    ]  # fmt: skip
    made += [
        (f"numbers {n}", "a.ipynb", notebook(cell(f"x{n} = {r.random()}", stream(f"{r.random()}\n" * 40))))
        for n in range(24)
    ]
    return made
