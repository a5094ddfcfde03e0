"""The scanner for credentials: what it finds, what it leaves alone, and that it shows nothing."""

import datetime
import json
import os
import subprocess
import sys

import pytest

from classroom.drills.leaky import heldout, tuned
from classroom.drills.leaky.kinds import KINDS, cell, encoded, notebook, shown, stream
from mlsecops import __main__ as commands
from mlsecops.findings import as_json, as_sarif
from mlsecops.leaks import history, notebooks, scan
from mlsecops.leaks.clean import cleaned
from mlsecops.leaks.secrets import RULES, Hit, find, named

KEY = b"a key for the fingerprints of tests"
HALVES = {"tuned": tuned, "held out": heldout}
SECRET = "sk-proj-aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA"
TOKEN = "ghp_aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA1bC2"


def rules(data: bytes, name: str = "a.ipynb") -> list[tuple[str, str]]:
    return [(leak.rule, leak.place) for leak in scan.scan(data, name, KEY)]


# -- the corpus ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", HALVES)
def test_what_is_planted_is_found(half):
    every = HALVES[half].planted()
    missed = [label for label, name, data, _ in every if not scan.scan(data, name, KEY)]
    assert len(every) >= 80 and len(missed) <= 0.05 * len(every), missed


@pytest.mark.parametrize("half", HALVES)
def test_what_is_no_secret_is_left_alone(half):
    every = HALVES[half].benign()
    flagged = {label: found for label, name, data in every if (found := rules(data, name))}
    assert len(every) >= 80 and len(flagged) <= 0.02 * len(every), flagged


@pytest.mark.parametrize("half", HALVES)
def test_other_strings_in_the_same_places(half):
    """Recall does not hang on a lucky seed."""
    missed = [
        label
        for seed in range(20, 24)
        for label, name, data, _ in HALVES[half].planted(seed)
        if not scan.scan(data, name, KEY)
    ]
    flagged = [label for seed in range(20, 24) for label, name, data in HALVES[half].benign(seed) if rules(data, name)]
    assert len(missed) <= 8, missed
    assert len(flagged) <= 4, flagged


def test_the_corpus_is_as_large_as_it_has_to_be():
    assert len(KINDS) >= 20 and len({*tuned.SHAPES} | {*heldout.SHAPES, *heldout.SPECIAL}) >= 100


# -- nothing is shown ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", HALVES)
def test_no_part_of_a_secret_is_in_any_report(half):
    for label, name, data, secret in HALVES[half].planted():
        row = scan.row(name, scan.scan(data, name, KEY))
        findings = scan.findings_of(name, row["findings"])
        told = "\n".join([as_json([row]), as_sarif(findings, "x", RULES), *scan.table([row]), repr(findings)])
        # Lower case and digits only make hexadecimal, of which fingerprints are: five of them may meet by chance.
        parts = {secret[at : at + 9] for at in range(len(secret) - 8)}
        assert not [part for part in parts if part in told], label


def test_a_hit_keeps_its_secret_to_itself():
    (hit,) = find(f"x = '{SECRET}'")
    assert repr(hit) == "Hit('provider-key', line 1)" and SECRET not in str(vars(type(hit)))
    with pytest.raises(TypeError):
        import pickle

        pickle.dumps(hit)


def test_what_cannot_be_read_says_nothing_of_its_content():
    with pytest.raises(notebooks.Unreadable) as caught:
        scan.scan(f'{{"cells": [{{"source": "{SECRET}'.encode(), "a.ipynb", KEY)
    assert "sk-" not in str(caught.value) and caught.value.__cause__ is None


def test_fingerprints_tell_the_same_secret_and_need_their_key():
    data = notebook(
        cell(f"a = '{SECRET}'"), cell(f"b = '{SECRET}'", identifier="c2"), cell(f"t = '{TOKEN}'", identifier="c3")
    )
    prints = [leak.fingerprint for leak in scan.scan(data, "a.ipynb", KEY)]
    assert prints[0] == prints[1] != prints[2]
    assert scan.scan(data, "a.ipynb", KEY * 2)[0].fingerprint != prints[0]


def test_a_mark_does_not_come_from_the_secret():
    marks = {
        scan.scan(notebook(cell(f"key = '{secret}'")), "a.ipynb", KEY)[0].mark for secret in (SECRET, SECRET[:-1] + "Q")
    }
    assert len(marks) == 1


# -- what people have complained about of other scanners -----------------------------------------------------


def test_an_image_attached_to_markdown():
    image = encoded(b"\x89PNG\r\n\x1a\n" + os.urandom(20_000))
    assert rules(notebook(cell("![](a.png)", kind="markdown", attachments={"a.png": {"image/png": image}}))) == []


def test_the_hash_of_an_interpreter_and_cell_ids():
    digest = "aee8b7b246df8f9039afb4144a1f6fd8d2ca17a180786b69acc140d282b71a49"
    assert rules(notebook(cell("1", identifier="9bc9a2c0"), vscode={"interpreter": {"hash": digest}})) == []


def test_a_call_with_escaped_quotes():
    data = notebook(cell([f'client = OpenAI(api_key="{SECRET}")\n']))
    assert b'\\"' in data and rules(data) == [("provider-key", "source")]


def test_a_dictionary_over_several_lines():
    lines = ["settings = {\n", "    'user': 'ann',\n", "    'password': 'Tr0ub4dor&3',\n", "}"]
    (leak,) = scan.scan(notebook(cell(lines)), "a.ipynb", KEY)
    assert (leak.rule, leak.line, leak.cell) == ("named-secret", 3, "c0ffee01")


def test_a_key_in_a_resource_of_colab():
    resources = {"http://localhost:8080/nbextensions/a.js": {"data": encoded(f"const k = '{SECRET}'"), "ok": True}}
    assert rules(notebook(cell("x", metadata={"colab": {"resources": resources}}))) == [("provider-key", "metadata")]


def test_a_masked_key_in_a_traceback_is_none():
    text = f"Error code: 401 - {{'error': {{'message': 'Incorrect API key provided: sk-proj-{'*' * 28}ab12.'}}}}"
    output = {
        "output_type": "error",
        "ename": "AuthenticationError",
        "evalue": text,
        "traceback": [f"\x1b[31m{text}\x1b[0m"],
    }
    assert rules(notebook(cell("go()", output))) == []
    output["evalue"] = text.replace("*" * 28 + "ab12", "aB3dE5gH7jK9mN1pQ2rS4tU6vW8xY0zA")
    assert rules(notebook(cell("go()", output))) == [("provider-key", "output")]


@pytest.mark.parametrize("name", [".env", ".env.local", ".env.production", "env", "settings", "notes.xyz", "Makefile"])
def test_a_file_is_read_whatever_its_name(name):
    assert rules(f"OPENAI_API_KEY={SECRET}\n".encode(), name) == [("provider-key", "config")]


def test_a_notebook_is_one_by_its_content():
    assert rules(notebook(cell(f"k = '{SECRET}'")), "backup.ipynb.txt") == [("provider-key", "source")]


# -- single traps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("password", "Tr0ub4dor&3", True),
        ("db_password", "changeme", False),
        ("PASSWORD", "password", False),
        ("token", "[CLS]", False),
        ("pad_token", "a8f3k29dk3l2k4j5", False),
        ("max_tokens", "1024000000000000", False),
        ("apiKey", "a8f3k29dk3l2k4j5m6n7", True),
        ("api-key", "a8f3k29dk3l2k4j5m6n7", True),
        ("api_key", "os.environ['X12345678']", False),
        ("api_key", "settings.api_key_2", False),
        ("secret", "${SECRET_2024_VALUE}", False),
        ("salary", "a8f3k29dk3l2k4j5m6n7", False),
        ("monkey", "a8f3k29dk3l2k4j5m6n7", False),
        ("compass", "N38.9072W77", False),
        ("password_hash", "a8f3k29dk3l2k4j5m6n7", False),
    ],
)
def test_a_name_and_a_value(name, value, secret):
    assert named(name, value) is secret


def test_colors_do_not_hide_a_key_and_html_does_not():
    half = len(SECRET) // 2
    assert rules(notebook(cell("x", stream(f"{SECRET[:half]}\x1b[31m{SECRET[half:]}")))) == [("provider-key", "output")]
    html = shown(text_html=f"<i>{SECRET[:half]}</i>{SECRET[half:]}")
    assert rules(notebook(cell("x", html))) == [("provider-key", "output")]


def test_one_secret_in_one_place_is_one_finding():
    assert len(rules(notebook(cell(f'OPENAI_API_KEY = "{SECRET}"  # {SECRET}')))) == 1
    assert len(rules(notebook(cell('DB_PASSWORD_URL = "postgres://ann:Tr0ub4dor-33@db/x"')))) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"\0" * 100,
        b'{"cells": 3, "nbformat": 4}',
        b'{"cells": [1, null], "nbformat": 4}',
    ],
)
def test_odd_files_are_read_or_refused(data):
    for name in ("a.ipynb", "a.json", "a.yaml", "a.toml", "a.py", "a"):
        try:
            assert scan.scan(data, name, KEY) == []
        except notebooks.Unreadable:
            assert name == "a.ipynb" or b'"nbformat"' in data or b"\0" in data


def test_aliases_that_stand_for_billions_take_no_time():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert rules("\n".join(lines).encode(), "a.yaml") == []


TEMPLATES = (
    "'{}%s done'.format('all')",
    "'{}% done'.format('all')",
    "'%s%s%(a)s' % ('a', 'b')",
    "'%d %s' % (1, 'x')",
    "'{0}'.format('a')",
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_that_are_not_followed_stop_nothing(template):
    assert rules(notebook(cell(f"print({template})\nkey = '{SECRET}'"))) == [("provider-key", "source")]


def test_a_text_that_doubles_with_each_line_takes_no_time():
    lines = ["a0 = 'kkkkkkkkkk'", *(f"a{n} = a{n - 1} + a{n - 1}" for n in range(1, 60)), f"key = '{SECRET}'"]
    lines += ["b0 = 'kkkkkkkkkk'", *(f"b{n} = f'{{b{n - 1}}}{{b{n - 1}}}{{b{n - 1}}}'" for n in range(1, 40))]
    assert ("provider-key", "source") in rules(notebook(cell("\n".join(lines))))


def test_many_secrets_take_time_in_proportion():
    """A quadratic search would take minutes here."""
    many = " ".join(f"token=Abcdef{n:06}kkXy" for n in range(4_000))
    assert len(scan.scan(many.encode(), "a.txt", KEY)) == 4_000


def test_an_identifier_that_is_a_secret_is_not_shown():
    for identifier in (TOKEN, {"a": TOKEN}, TOKEN * 3, "a b"):
        made = notebook(cell(f"t = '{TOKEN}'", identifier=identifier), cell("x", metadata={"id": TOKEN}))
        assert {leak.cell for leak in scan.scan(made, "a.ipynb", KEY)} <= {"number 1", "number 2", "c0ffee01"}


def test_a_name_that_stands_twice_hides_nothing():
    data = notebook(cell("x")).replace(b'"outputs": []', b'"outputs": [{"text": "x"}], "outputs": []')
    with pytest.raises(notebooks.Unreadable, match="twice"):
        scan.scan(data, "a.ipynb", KEY)
    with pytest.raises(notebooks.Unreadable):
        cleaned(data)


ODD_CELLS = [
    {"cell_type": ["code"]},
    {"cell_type": "code", "source": 3},
    {"cell_type": "code", "outputs": {"a": 1}},
    {"metadata": 5},
]


@pytest.mark.parametrize("odd", ODD_CELLS)
def test_cells_of_other_types_are_no_trouble(odd):
    content = json.loads(notebook(cell(f"k = '{SECRET}'")))
    content["cells"].append(odd)
    assert rules(json.dumps(content).encode()) == [("provider-key", "source")]
    for sheets in (None, 5, [None], {"a": 1}, [{"cells": 5}]):
        assert rules(json.dumps({"worksheets": sheets, "nbformat": 3}).encode()) == []


@pytest.mark.parametrize(
    "line",
    [
        "http://localhost:8888/?token={}",
        "url = 'https://h.example/x?api_key={}'",
        "args=--token={}",
        "password2 = '{}'",
        "api_key_prod = '{}'",
        "PGPASSWORD={}",
        "openai_key = '{}'",
        "API key: {}",
        "password <- '{}'",
        "server.login('ann', '{}')",
        "get(url, auth=('ann', '{}'))",
    ],
)
def test_other_ways_to_say_it(line):
    name = "a.py" if line.endswith(")") else "a.txt"
    assert rules(line.format("aB3dE5gH7jK9mN1pQ2rS4tU6").encode(), name)


def test_a_deep_expression_is_given_up_and_still_read_as_text():
    assert rules(notebook(cell("x = " + "(" * 5_000 + f"'{SECRET}'" + ")" * 5_000))) == [("provider-key", "source")]


# -- git history ---------------------------------------------------------------------------------------------


class Repository:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments, **more):
        identity = ["-c", "user.name=Ann", "-c", "user.email=ann@desk", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, env=history.environment(), **more).stdout

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "-A")

    def commit(self, words="a change"):
        self.git("commit", "-q", "--allow-empty", "-m", words)
        return self.git("rev-parse", "HEAD").decode().strip()

    def found(self):
        return [(row["path"], row["findings"][0]["commit"]) for row in scan.history_rows(self.folder, KEY)]


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "work")


LEAK = f"key = '{SECRET}'\n"


def test_a_secret_that_was_taken_out_again(repository):
    repository.write("a.py", LEAK)
    first = repository.commit()
    repository.write("a.py", "key = None\n")
    repository.commit()
    assert repository.found() == [("a.py", first)]


def test_a_file_that_was_renamed_and_removed(repository):
    repository.write("old name.py", LEAK)
    first = repository.commit()
    repository.git("mv", "old name.py", "ü.py")
    repository.commit()
    repository.git("rm", "-q", "ü.py")
    repository.commit()
    ((path, commit),) = repository.found()
    assert path in ("old name.py", "ü.py") and commit == first


def test_a_merge_that_brought_it_in_itself(repository):
    repository.write("a.py", "x = 1\n")
    repository.commit()
    repository.git("checkout", "-q", "-b", "side")
    repository.write("b.py", "y = 1\n")
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.write("c.py", "z = 1\n")
    repository.commit()
    repository.git("merge", "-q", "--no-commit", "--no-ff", "side")
    repository.write("a.py", LEAK)
    merge = repository.commit("merged by hand")
    repository.write("a.py", "x = 2\n")
    repository.commit()
    assert repository.found() == [("a.py", merge)]


def test_a_branch_that_is_gone_a_stash_and_an_amended_commit(repository):
    repository.write("a.py", "x = 1\n")
    repository.commit()
    repository.git("checkout", "-q", "-b", "side")
    repository.write("branch.py", LEAK)
    repository.commit()
    repository.git("checkout", "-q", "main")
    repository.git("branch", "-D", "-q", "side")
    repository.write("stashed.py", LEAK.replace("K9", "L9"))
    repository.git("stash", "-q")
    repository.write("amended.py", LEAK.replace("K9", "M9"))
    repository.commit()
    repository.write("amended.py", "x = 1\n")
    repository.git("commit", "-q", "--amend", "-m", "nothing to see")
    assert {path for path, _ in repository.found()} == {"branch.py", "stashed.py", "amended.py"}


def test_what_nothing_names_any_more_is_still_there(repository):
    repository.git("hash-object", "-w", "--stdin", input=LEAK.encode())
    repository.commit()
    ((path, _),) = repository.found()
    assert path.startswith("object ")


def test_packed_objects(repository):
    repository.write("a.py", LEAK)
    repository.commit()
    repository.write("a.py", "x = 1\n")
    repository.commit()
    repository.git("gc", "-q")
    assert not [*(repository.folder / ".git" / "objects").glob("[0-9a-f][0-9a-f]")]
    assert len(repository.found()) == 1


def test_a_filter_that_hides_it_from_the_log(repository):
    repository.write(".gitattributes", "*.ipynb diff=hide\n")
    repository.git("config", "diff.hide.textconv", f"{sys.executable} -c 'print(1)'")
    repository.write("a.ipynb", notebook(cell("x", stream(SECRET))))
    first = repository.commit()
    repository.write("a.ipynb", notebook(cell("x")))
    repository.commit()
    assert SECRET.encode() not in repository.git("log", "-p", "--all")
    assert repository.git("log", "-G", SECRET, "--format=%H") == b""
    assert repository.found() == [("a.ipynb", first)]


def test_bytes_that_are_no_text_and_files_that_are_too_large(repository, monkeypatch):
    repository.write("latin.py", "# M\xfcller\n".encode("latin-1") + LEAK.encode())
    repository.write("binary", os.urandom(100_000))
    repository.write("half.ipynb", notebook(cell("x", stream(SECRET)))[:-40])
    repository.write("large.txt", b"x" * 3_000_000)
    repository.commit()
    monkeypatch.setattr(history, "LARGEST", 2_000_000)
    rows = {row["path"]: row["result"] for row in scan.history_rows(repository.folder, KEY)}
    assert rows == {"latin.py": "fail", "half.ipynb": "fail", "large.txt": "unknown"}


def test_a_shallow_clone_is_no_history(repository, tmp_path):
    repository.write("a.py", LEAK)
    repository.commit()
    repository.write("a.py", "x = 1\n")
    repository.commit()
    command = ["git", "clone", "-q", "--depth=1", f"file://{repository.folder}", str(tmp_path / "shallow")]
    subprocess.run(command, check=True, env=history.environment())
    with pytest.raises(history.GitError, match="shallow"):
        list(scan.history_rows(tmp_path / "shallow", KEY))


def test_a_submodule_is_looked_into_and_its_history_is_not_passed_over(repository, tmp_path):
    other = Repository(tmp_path / "other")
    other.write("b.py", LEAK)
    other.commit()
    repository.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.folder), "sub")
    repository.commit()
    found = [path for path in scan.files(repository.folder) if rules(path.read_bytes(), str(path))]
    assert [path.name for path in found] == ["b.py"]
    rows = list(scan.history_rows(repository.folder, KEY))
    assert [(row["path"], row["result"]) for row in rows if "sub" in row["path"]] == [("submodule sub", "unknown")]


def test_a_path_that_is_no_text_and_a_pipe_are_no_trouble(repository):
    repository.write("a.py", LEAK)
    (repository.folder / os.fsdecode(b"\xff.py")).write_text(LEAK)
    repository.git("add", "-A")
    repository.commit()
    assert len(repository.found()) >= 1
    assert len([path for path in scan.files(repository.folder) if rules(path.read_bytes(), str(path))]) == 2
    os.mkfifo(repository.folder.parent / "pipe")
    assert repository.folder.parent / "pipe" not in list(scan.files(repository.folder.parent))


def test_no_repository_is_one_sentence(tmp_path):
    with pytest.raises(history.GitError, match="not a git repository"):
        list(scan.history_rows(tmp_path, KEY))


# -- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, capsys, monkeypatch):
    (tmp_path / "fingerprint.key").write_bytes(KEY)
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = commands.main(
            ["scan-notebook", "--fingerprint-key", str(tmp_path / "fingerprint.key"), *map(str, arguments)]
        )
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_clean_found_and_unreadable(run, tmp_path):
    (tmp_path / "clean.ipynb").write_bytes(notebook(cell("x = 1")))
    assert run("clean.ipynb") == (0, "1 without\n", "")
    (tmp_path / "leak.ipynb").write_bytes(notebook(cell(LEAK)))
    code, out, _ = run("clean.ipynb", "leak.ipynb")
    assert (
        code == 1
        and "leak.ipynb: provider-key" in out
        and "cell c0ffee01, line 1" in out
        and "1 with secrets, 1 without" in out
    )
    (tmp_path / "half.ipynb").write_text('{"cells": [')
    code, out, err = run("half.ipynb", "leak.ipynb")
    assert code == 2 and "provider-key" in out and "cannot be read" in err and "Traceback" not in err
    assert run("nowhere.ipynb")[0] == 2


def test_json_and_sarif(run, tmp_path):
    (tmp_path / "leak.ipynb").write_bytes(notebook(cell(LEAK)))
    code, out, _ = run("leak.ipynb", "--format", "json")
    (row,) = json.loads(out)
    assert code == 1 and row["path"] == "leak.ipynb" and row["result"] == "fail"
    (finding,) = row["findings"]
    assert list(finding) == ["rule", "place", "cell", "line", "commit", "fingerprint", "mark"]
    assert list(finding.values())[:5] == ["provider-key", "source", "c0ffee01", 1, ""]
    code, out, _ = run("leak.ipynb", "--format", "sarif")
    (result,) = json.loads(out)["runs"][0]["results"]
    assert code == 1 and result["ruleId"] == "provider-key" and finding["fingerprint"] not in out


def test_history_of_a_folder(run, repository):
    repository.write("a.py", LEAK)
    repository.commit()
    repository.write("a.py", "x = 1\n")
    repository.commit()
    assert run(repository.folder)[0] == 0
    code, out, _ = run(repository.folder, "--history", "--format", "json")
    (found,) = [finding for row in json.loads(out) for finding in row["findings"]]
    assert code == 1 and found["place"] == "history" and len(found["commit"]) == 40
    code, _, err = run(repository.folder.parent, "--history")
    assert code == 2 and "not a git repository" in err


def test_a_folder_is_what_git_would_publish(run, repository):
    repository.write(".gitignore", ".env\n")
    repository.write("a.py", "x = 1\n")
    (repository.folder / ".env").write_text(LEAK)
    assert run(repository.folder)[0] == 0
    assert run(repository.folder / ".env")[0] == 1
    (repository.folder / "new.py").write_text(LEAK)
    assert run(repository.folder)[0] == 1


def test_allow_marks_hold_to_their_day(run, tmp_path):
    (tmp_path / "leak.ipynb").write_bytes(notebook(cell(LEAK)))
    (row,) = json.loads(run("leak.ipynb", "--format", "json")[1])
    allow = tmp_path / "allow.json"

    def until(day, reason="an example of the documentation"):
        allow.write_text(json.dumps([{"mark": row["findings"][0]["mark"], "reason": reason, "until": str(day)}]))
        return run("leak.ipynb", "--allow", allow)

    today = datetime.datetime.now(datetime.UTC).date()
    assert until(today + datetime.timedelta(1)) == (0, "1 without\n", "")
    code, _, err = until(today - datetime.timedelta(1))
    assert code == 0 and "has expired" in err
    assert run("leak.ipynb", "--allow", allow, "--expired", "fail")[0] == 1
    assert until("someday")[0] == until(today, " ")[0] == 2
    allow.write_text("[")
    assert run("leak.ipynb", "--allow", allow)[0] == 2


def test_a_short_key_of_fingerprints_is_refused(run, tmp_path):
    (tmp_path / "short").write_bytes(b"short")
    assert commands.main(["scan-notebook", "--fingerprint-key", str(tmp_path / "short"), str(tmp_path)]) == 2


def test_the_users_own_key_is_made_once_and_for_them_alone(tmp_path, monkeypatch):
    import platformdirs

    monkeypatch.setattr(platformdirs, "user_config_path", lambda name: tmp_path / name)
    key = scan.fingerprint_key()
    assert len(key) == 32 and scan.fingerprint_key() == key
    if os.name == "posix":
        assert (tmp_path / "mlsecops" / "fingerprint.key").stat().st_mode & 0o077 == 0


def test_hits_overlap_when_one_is_a_part_of_the_other():
    whole, part = Hit("url-password", "abcdef", 0, 6, 1), Hit("named-secret", "cde", 2, 5, 1)
    assert whole.overlaps(part) and part.overlaps(whole) and not part.overlaps(Hit("named-secret", "x", 0, 1, 1))


# -- the cleaner ---------------------------------------------------------------------------------------------


def dirty() -> bytes:
    first = cell(
        "x = 1\n", stream("out"), metadata={"tags": ["parameters", "keep_output"], "id": "a1", "init_cell": True}
    )
    text = cell(["# Title\n", "words"], kind="markdown", identifier="c2", attachments={"a.txt": {"text/plain": "eA=="}})
    made = json.loads(notebook(first, text, widgets={"state": {}}, colab={"provenance": []}, mlsecops={"lesson": "H4"}))
    made["cells"][0]["metadata"]["executionInfo"] = {"user": {"displayName": "Ada"}}
    made["metadata"]["language_info"] = {"name": "python", "version": "3.11.7"}
    return json.dumps(made).encode()


def test_ids_and_code_stay_and_all_else_goes():
    made = json.loads(cleaned(dirty(), ("mlsecops",)))
    assert [one["id"] for one in made["cells"]] == ["c0ffee01", "c2"]
    assert [one["source"] for one in made["cells"]] == ["x = 1\n", ["# Title\n", "words"]]
    assert made["cells"][0]["metadata"] == {"tags": ["parameters"]} and made["cells"][0]["outputs"] == []
    assert "attachments" not in made["cells"][1] and "outputs" not in made["cells"][1]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    wanted = {"mlsecops": {"lesson": "H4"}, "kernelspec": kernel, "language_info": {"name": "python"}}
    assert made["metadata"] == wanted
    assert "Ada" not in json.dumps(made) and "mlsecops" not in json.loads(cleaned(dirty()))["metadata"]


def test_what_is_clean_is_not_touched():
    once = cleaned(dirty())
    assert cleaned(once) is once
    other_order = json.dumps(dict(reversed(json.loads(once).items())), separators=(",", ":")).encode()
    assert cleaned(other_order) is other_order


NO_NOTEBOOKS = [b"", b"{}", b"[]", b'{"cells": [], "metadata": {}}', b'{"cells": [{}], "nbformat": 4}', b"\xff"]


@pytest.mark.parametrize("data", NO_NOTEBOOKS)
def test_what_is_no_notebook_is_not_cleaned(data):
    with pytest.raises(notebooks.Unreadable):
        cleaned(data)


def test_cleaning_a_folder(tmp_path, capsys):
    (tmp_path / "a.ipynb").write_bytes(dirty())
    (tmp_path / "b.ipynb").write_text("{")
    (tmp_path / "note.txt").write_text("x")
    assert commands.main(["clean-notebook", "--check", str(tmp_path / "a.ipynb")]) == 1
    assert (tmp_path / "a.ipynb").read_bytes() == dirty()
    assert commands.main(["clean-notebook", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert "1 of 2 cleaned" in out and "b.ipynb: not a notebook" in err
    assert commands.main(["clean-notebook", "--check", str(tmp_path / "a.ipynb")]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a.ipynb", "b.ipynb", "note.txt"}
