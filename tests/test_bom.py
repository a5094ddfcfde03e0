"""The bill of materials: valid, the same every time, and any difference to the folder is named."""

import copy
import json
import sys

import pytest

from mlsecops.artifacts.bom import Difference, ml_bom, validate_bom, verify_bom


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "salary"
    (folder / "data").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "settings.json").write_text("{}", encoding="utf-8")
    (folder / "data" / "länder.csv").write_text("DE\n", encoding="utf-8")
    return folder


def test_lists_every_file_with_its_hash_and_is_valid(folder):
    bom = ml_bom(folder, version="1.0")
    validate_bom(bom)
    assert {c["name"]: c["type"] for c in bom["components"]} == {
        "data/länder.csv": "data",
        "model.safetensors": "machine-learning-model",
        "settings.json": "data",
    }
    # sha256 of "weights", by sha256sum
    assert bom["components"][1]["hashes"][0]["content"] == (
        "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    )
    assert bom["metadata"]["component"]["name"] == "salary"


def test_same_folder_same_bom_and_clock_only_when_given(folder):
    assert json.dumps(ml_bom(folder)) == json.dumps(ml_bom(folder))
    assert "serialNumber" not in ml_bom(folder)
    dated = ml_bom(
        folder, serial_number="urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", timestamp="2026-11-23T00:00:00Z"
    )
    validate_bom(dated)
    assert dated["metadata"]["timestamp"] == "2026-11-23T00:00:00Z"


def test_names_every_difference(folder):
    bom = ml_bom(folder)
    assert verify_bom(bom, folder) == []
    (folder / "model.safetensors").write_bytes(b"Weights")
    (folder / "settings.json").unlink()
    (folder / "data" / "more.bin").write_bytes(b"")
    assert verify_bom(bom, folder) == [
        Difference("data/more.bin", "extra"),
        Difference("model.safetensors", "changed"),
        Difference("settings.json", "missing"),
    ]


def test_missing_or_contradicting_hashes_are_differences(folder):
    bom = ml_bom(folder)
    unhashed = copy.deepcopy(bom)
    unhashed["components"][0]["hashes"] = []
    assert verify_bom(unhashed, folder) == [Difference("data/länder.csv", "not hashed")]
    twice = copy.deepcopy(bom)
    twice["components"].append(copy.deepcopy(twice["components"][0]) | {"bom-ref": "again"})
    twice["components"][-1]["hashes"][0]["content"] = "0" * 64
    assert verify_bom(twice, folder) == [Difference("data/länder.csv", "changed")]


def test_no_path_is_taken_from_the_bom(folder):
    (folder.parent / "outside").write_text("secret", encoding="utf-8")
    bom = ml_bom(folder)
    bom["components"][0]["name"] = "../outside"
    assert Difference("../outside", "missing") in verify_bom(bom, folder)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda bom: bom.pop("bomFormat"),
        lambda bom: bom.update(specVersion="1.5"),
        lambda bom: bom["components"][0].update(type="model"),
        lambda bom: bom["components"][0]["hashes"][0].update(content="not hex"),
        lambda bom: bom["components"][1].update({"bom-ref": bom["components"][0]["bom-ref"], "extra": 1}),
    ],
)
def test_refuses_what_the_schema_refuses(folder, spoil):
    bom = ml_bom(folder)
    spoil(bom)
    with pytest.raises(ValueError, match=r"CycloneDX 1\.6"):
        validate_bom(bom)


def test_links_and_missing_folders_are_errors(folder, tmp_path):
    with pytest.raises(NotADirectoryError):
        ml_bom(tmp_path / "nowhere")
    if sys.platform != "win32":
        (folder / "latest").symlink_to("model.safetensors")
        with pytest.raises(ValueError, match="link"):
            ml_bom(folder)
