"""The corpus tells the truth: every malicious file fires, every benign one loads and is what it was."""

import os
import warnings

import pytest
from corpus import assemble, benign, benign_heldout, fire, malicious, malicious_heldout
from corpus.files import made, written
from corpus.ways import WAYS

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="files are fired in forked children")
MODULES = ("malicious", "malicious_heldout", "malicious_whitebox")
# torch numbers scripted classes, and legacy files hold addresses
COUNTERS_INSIDE = {"torch_sequence/saved", "torch_formats/torchscript", "torch_formats/torchscript-bin"}


@pytest.fixture(scope="session")
def fired() -> dict[str, tuple[bool, str]]:
    return fire.prove(*MODULES)


@forking
def test_every_malicious_file_fires(fired):
    silent = {name: message for name, (has_fired, message) in fired.items() if not has_fired}
    # A gadget may be absent from other versions of a library than the pinned ones; then it cannot fire.
    absent = {name for name, message in silent.items() if message.startswith(("AttributeError", "ModuleNotFoundError"))}
    assert not set(silent) - absent, silent
    assert len(absent) <= 10, absent
    assert len(fired) - len(absent) >= 150


@forking
def test_a_harmless_file_does_not_fire(tmp_path):
    marker = tmp_path / "fired.patch"
    path = tmp_path / "model.pkl"
    path.write_bytes(assemble.stream({"weights": [1.0]}))
    assert fire.fires(path, "pickle", marker) == (False, "")
    path.write_bytes(assemble.bomb(marker)[:-1])
    assert fire.fires(path, "pickle", marker) == (True, "EOFError: Ran out of input")


@pytest.mark.parametrize("module", [benign, benign_heldout])
def test_every_benign_file_loads_as_what_it_was(module):
    paths = written(module.__name__.rpartition(".")[2])
    wrong = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in module.CORPUS:
            loaded = fire.LOADERS[WAYS[file.way].loader](paths[file.name])
            if type(loaded) is not type(made(file.make)):
                wrong[file.name] = type(loaded)
            assert [p.name for p in paths[file.name].parent.iterdir()] == [paths[file.name].name]
    assert not wrong


def test_size_of_the_corpus():
    evil, held = malicious.CORPUS, malicious_heldout.CORPUS
    good, good_held = benign.CORPUS, benign_heldout.CORPUS
    assert len(evil) + len(held) >= 150
    assert len(good) + len(good_held) >= 120
    assert len(evil.families | held.families) >= 20
    # about a third, by whole families, is set aside
    assert not evil.families & held.families
    assert not good.families & good_held.families
    assert len(held) / (len(evil) + len(held)) > 0.25
    assert len(good_held) / (len(good) + len(good_held)) > 0.25


def test_files_are_the_same_each_time(tmp_path):
    marker = tmp_path / "fired.patch"
    for module in (malicious, malicious_heldout):
        for file in module.CORPUS:
            if file.name not in COUNTERS_INSIDE:
                assert file.build(marker) == file.build(marker), file.name
