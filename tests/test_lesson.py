"""What every lesson leans on: a place that vanishes, a canary, a recorder that survives attacks, honest displays."""

import subprocess
import sys
import types
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from classroom import lesson
from classroom.lesson import display as shows
from classroom.lesson import sandbox
from classroom.questions import lab_of, labs


@pytest.fixture
def shown(monkeypatch):
    """Collects what a lesson displays, as `(data, metadata)`."""
    displayed = []
    monkeypatch.setattr(
        shows, "display", lambda data, raw, metadata=None: displayed.append((data, (metadata or {}).get("mlsecops")))
    )
    return displayed


# --- a place to attack ---


def test_a_workspace_is_gone_when_the_program_ends():
    code = "from classroom.lesson import workspace as w; f = w(); (f / 'weights.bin').write_text('x'); print(f)"
    done = subprocess.run([sys.executable, "-c", code], cwd=lesson.ROOT, capture_output=True, text=True, check=True)
    path = Path(done.stdout.strip())
    assert path.name.startswith("mlsecops-")
    assert not path.exists()


def test_workspaces_are_separate_and_live_as_long_as_the_program(tmp_path):
    first, second = lesson.workspace(), lesson.workspace()
    assert first != second
    assert first.is_dir() and second.is_dir()


def test_what_is_kept_outlives_the_workspace_and_the_next_run_replaces_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "ROOT", tmp_path / "course")
    log = tmp_path / "audit.jsonl"
    for text in ("first", "second"):
        log.write_text(text)
        (copy,) = lesson.keep("H3", log)
        assert copy.read_text() == text
    assert [path.name for path in copy.parent.iterdir()] == ["audit.jsonl"]
    assert copy.parent == tmp_path / "course" / "build" / "kept" / "H3"


@pytest.mark.parametrize("attack", [lambda path: path.write_text("code ran"), Path.unlink])
def test_a_canary_notices_change_and_removal_and_can_be_revived(tmp_path, attack):
    canary = lesson.Canary(tmp_path)
    assert canary.alive and repr(canary) == "canary: alive"
    attack(canary.path)
    assert not canary.alive and "TOUCHED" in repr(canary)
    assert canary.revive().alive


# --- the flight recorder ---


def test_the_recorder_sees_what_a_pickle_looks_up_runs_and_writes(tmp_path):
    stream = b"cos\nsystem\n(S'echo fired > marker.txt'\ntR."
    code = f"import pickle\npickle.loads({stream!r})\nopen('notes.txt', 'w').close()"
    recording = lesson.run_recorded(code, tmp_path)
    assert recording.finished, recording.error
    assert (tmp_path / "marker.txt").exists(), "the payload itself must have run"
    (looked_up,) = [detail for what, detail in recording.events if what == "pickle.find_class"]
    (command,) = [detail for what, detail in recording.events if what == "os.system"]
    (opened,) = [detail for what, detail in recording.events if what == "open"]
    assert looked_up == "os.system"
    assert "echo fired" in command
    assert opened == "notes.txt"


def test_reading_a_file_and_what_runs_before_the_recorder_is_switched_on_are_not_recorded(tmp_path):
    (tmp_path / "data.txt").write_text("x")
    recording = lesson.run_recorded(
        "open('data.txt').close()", tmp_path, before="open('early.txt', 'w').close()", timeout=60
    )
    assert (tmp_path / "early.txt").exists()
    assert recording.events == ()


def test_paths_and_addresses_are_shortened_so_that_two_runs_show_the_same(tmp_path):
    absolute = str(tmp_path / "model.bin")
    recording = lesson.run_recorded(f"open({absolute!r}, 'w').close()\nexec('pass')", tmp_path)
    details = dict(recording.events)
    assert details["open"] == "model.bin"
    assert "0x…" in details["exec"]
    assert str(tmp_path) not in repr(recording) + recording._repr_html_()


def test_the_child_can_import_the_course_but_inherits_no_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_TEST_TOKEN", "not for the child")
    code = "import os, classroom.lesson\nprint('COURSE_TEST_TOKEN' in os.environ)"
    recording = lesson.run_recorded(code, tmp_path)
    assert recording.finished, recording.error
    assert recording.output.strip() == "False"


def test_an_exception_is_an_outcome_and_earlier_events_are_kept(tmp_path):
    recording = lesson.run_recorded("open('first.txt', 'w').close()\nraise ValueError('broken stream')", tmp_path)
    assert recording.events == (("open", "first.txt"),)
    assert recording.error == "ValueError: broken stream"
    assert not recording.finished and repr(recording).endswith("ended with ValueError: broken stream")


def test_a_crash_is_an_outcome(tmp_path):
    recording = lesson.run_recorded("import os\nopen('first.txt', 'w').close()\nos._exit(9)", tmp_path)
    assert recording.events == (("open", "first.txt"),)
    assert recording.error == "exit code 9"


def test_a_child_that_never_ends_is_stopped(tmp_path):
    recording = lesson.run_recorded("while True: pass", tmp_path, timeout=2)
    assert recording.error == "no answer within 2 s"
    assert not recording.finished


def test_a_recording_escapes_what_the_attack_chose_to_write():
    recording = lesson.Recording((("os.system", "<script>alert(1)</script>"),), "<b>", "")
    assert "<script>" not in recording._repr_html_()
    assert "ended with &lt;b&gt;" in recording._repr_html_()


# --- displays ---


def test_a_defense_is_measured_on_both_sides():
    attacks, honest = ["bad", "bad", "sly"], ["good", "odd"]
    assert lesson.Defense.measure("none", lambda case: True, attacks, honest) == lesson.Defense("none", 0, 3, 2, 2)
    assert lesson.Defense.measure("all", lambda case: False, attacks, honest) == lesson.Defense("all", 3, 3, 0, 2)
    picky = lesson.Defense.measure("picky", lambda case: case in ("good", "sly"), attacks, honest)
    assert (picky.stopped, picky.accepted) == (2, 1)


def test_a_defense_that_raises_has_not_accepted():
    def accepts(case):
        raise ValueError(case)

    assert lesson.Defense.measure("raises", accepts, ["bad"], ["good"]) == lesson.Defense("raises", 1, 1, 0, 1)


def test_before_after_shows_table_and_figure_and_keeps_the_figures(shown):
    before_after = [lesson.Defense("none", 0, 4, 3, 3), lesson.Defense("scanner", 3, 4, 2, 3)]
    lesson.before_after("scanners", before_after)
    (table, results), (figure, _) = shown
    assert results == {
        "scanners": [
            {"name": "none", "stopped": 0, "attacks": 4, "accepted": 3, "honest": 3},
            {"name": "scanner", "stopped": 3, "attacks": 4, "accepted": 2, "honest": 3},
        ]
    }
    assert "1 of 4" in table["text/plain"] and "2 of 3" in table["text/html"]
    assert "scanner: 1 of 4 attacks succeed, 2 of 3 honest accepted" in figure["text/html"]


def test_a_figure_has_a_spoken_description_and_is_closed(shown):
    figure, _ = plt.subplots()
    lesson.show(figure, alt='one "bar" & no more')
    ((data, _),) = shown
    assert 'alt="one &quot;bar&quot; &amp; no more"' in data["text/html"]
    assert data["text/plain"].startswith("[figure] one")
    assert not plt.fignum_exists(figure.number)


def test_a_measured_value_is_shown_rounded_and_kept_in_full(shown):
    lesson.measured("accuracy", 0.123456)
    lesson.measured("salary", 61234.5, "USD")
    lesson.measured("attacks that fired", 12)
    assert [data["text/plain"] for data, _ in shown] == [
        "accuracy: 0.123",
        "salary: 61,234 USD",
        "attacks that fired: 12",
    ]
    assert [results for _, results in shown] == [
        {"accuracy": 0.123456},
        {"salary": 61234.5},
        {"attacks that fired": 12},
    ]


def test_a_prediction_stands_beside_what_was_measured(capsys):
    shows.reveal(3, 50)
    shows.reveal(None, "7 of 8")
    assert capsys.readouterr().out == "You wrote: 3. Measured: 50.\nYou wrote: nothing. Measured: 7 of 8.\n"


def test_timing_is_one_line_that_the_sanitize_rule_can_find(shown):
    lesson.timing(pickle=0.2, safetensors_mapped=0.0005, slow=3.0)
    ((data, results),) = shown
    assert data["text/plain"] == "timing: pickle 200 ms (×1) · safetensors mapped 500 µs (×0.0025) · slow 3 s (×15)"
    assert set(data) == {"text/plain"}
    assert results == {"timing": {"pickle": 0.2, "safetensors_mapped": 0.0005, "slow": 3.0}}


def test_a_stopwatch_measures_its_block_even_when_it_fails():
    with pytest.raises(ValueError), lesson.stopwatch() as seconds:
        raise ValueError
    assert 0 < seconds[0] < 1


def test_source_is_shown_highlighted_and_in_plain_text(shown):
    lesson.show_source(lesson.measured)
    ((data, _),) = shown
    assert data["text/plain"].startswith("def measured(")
    assert "<span" in data["text/html"]


# --- set-up ---


@pytest.fixture
def colab(monkeypatch):
    """Pretends to be Colab. `commands` are those that would have been run, `outcome` is what they return."""
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    pretended = types.SimpleNamespace(commands=[], outcome=types.SimpleNamespace(returncode=0, stderr=""))

    def run(command, **_):
        pretended.commands.append(command)
        return pretended.outcome

    monkeypatch.setattr(sandbox.subprocess, "run", run)
    return pretended


@pytest.fixture
def pins():
    lines = (lesson.ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split(";")[0].strip().split("==") for line in lines if "==" in line)


def test_on_your_own_computer_set_up_installs_nothing(monkeypatch, capsys):
    monkeypatch.setattr(sandbox, "_installed", lambda name: False)
    monkeypatch.setattr(sandbox.subprocess, "run", lambda *a, **k: pytest.fail("something was run"))
    lesson.setup("H2b")
    assert capsys.readouterr().out.startswith("H2b · Python 3.")


@pytest.mark.parametrize("name", [name for name in labs() if lab_of(name).colab_tools])
def test_in_colab_only_the_missing_tools_are_installed_at_our_pins(monkeypatch, colab, pins, name):
    tools = [tool.split("[")[0] for tool in lab_of(name).colab_tools]
    monkeypatch.setattr(sandbox, "_installed", lambda tool: tool == tools[0])
    lesson.setup(name)
    (command,) = colab.commands
    wanted = command[command.index("install") + 1 :]
    assert command[0] == sys.executable
    asked = [requirement.split("==")[0].split("[")[0] for requirement in wanted if not requirement.startswith("-")]
    assert asked == tools[1:]
    for requirement in wanted[1:]:
        tool, _, version = requirement.partition("==")
        assert version == pins[tool.split("[")[0]]


def test_in_colab_nothing_runs_when_nothing_is_missing(monkeypatch, colab, capsys):
    monkeypatch.setattr(sandbox, "_installed", lambda tool: True)
    lesson.setup("H2b")
    assert colab.commands == []
    assert "installing" not in capsys.readouterr().out


def test_in_colab_a_failed_installation_says_why(monkeypatch, colab):
    monkeypatch.setattr(sandbox, "_installed", lambda tool: False)
    colab.outcome.returncode, colab.outcome.stderr = 1, "no matching distribution"
    with pytest.raises(RuntimeError, match="no matching distribution"):
        lesson.setup("H2b")


def test_the_heavy_libraries_are_never_installed_in_colab():
    heavy = {"torch", "numpy", "pandas", "matplotlib", "scipy"}
    assert not heavy & {tool.split("[")[0] for lab in labs() for tool in lab_of(lab).colab_tools}


def test_a_slider_says_its_first_place_and_computes_anew(capsys):
    asked = []
    box = lesson.sliding(lambda value: asked.append(value) or f"<{value}> twice is {2 * value}", "x", [1, 2, 3], 2)
    assert capsys.readouterr().out == "<2> twice is 4\n" and asked == [2]
    slider, said = box.children
    slider.value = 3
    assert asked == [2, 3] and said.value == "<pre>&lt;3&gt; twice is 6</pre>"
