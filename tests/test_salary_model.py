"""The salary model: it learns what is in the data, reproduces, and comes back from disk as plain data only."""

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
import safetensors.torch
import torch

from mlsecops.salary.dataset import SURVEY_VARIABLE, clean, features, load_salaries
from mlsecops.salary.model import OTHER, train
from mlsecops.salary.storage import ModelFileError, load, metadata_problem, save, save_pickled

ROOT = Path(__file__).resolve().parents[1]
REAL = os.environ.get(SURVEY_VARIABLE)
PERSON = {"years_exp": 10.0, "uses_python": True, "uses_sql": True, "uses_js": False, "uses_ai": True, "country": OTHER}


@pytest.fixture(scope="module")
def frame():
    return clean(load_salaries("sample"))


@pytest.fixture(scope="module")
def model(frame):
    return train(frame)


@pytest.fixture
def saved(model, tmp_path):
    save(model, tmp_path / "model")
    return tmp_path / "model"


# Training and predicting


def test_it_learns_the_sample_about_as_well_as_the_survey(frame, model):
    metrics = model.metadata["metrics"]
    assert 0.44 < metrics["r2"] < 0.54
    assert 30_000 < metrics["mae_usd"] < 39_000
    assert metrics["rows_train"] + metrics["rows_test"] == len(frame)
    assert metrics["rows_test"] == len(frame) // 5


def test_country_carries_more_than_half_of_what_it_learns(frame):
    nowhere = frame.assign(Country="nowhere")
    assert 0.15 < train(nowhere).metadata["metrics"]["r2"] < 0.28


def test_metrics_are_those_of_rows_it_never_saw(frame, model):
    rows = np.random.default_rng(0).permutation(len(frame))[: len(frame) // 5]
    unseen = frame.iloc[rows]
    error = np.abs(model.predict(features(unseen)) - unseen["ConvertedCompYearly"])
    assert error.mean() == pytest.approx(model.metadata["metrics"]["mae_usd"], rel=1e-6)
    spoiled = frame.copy()
    spoiled.iloc[rows, spoiled.columns.get_loc("ConvertedCompYearly")] = 6_000.0
    again = train(spoiled)
    assert np.array_equal(again.predict(features(unseen)), model.predict(features(unseen)))


def test_predictions_follow_what_was_planted(model):
    def usd(**changed):
        return model.predict({**PERSON, **changed})[0]

    assert usd(country="United States of America") > 1.5 * usd(country="Poland") > 1.5 * usd(country="India")
    assert usd(years_exp=20.0) > 1.15 * usd(years_exp=8.0) > 1.15 * usd(years_exp=2.0)
    assert usd(country="Atlantis") == usd(country=OTHER)


def test_same_seed_same_model_other_seed_other_model(frame, model):
    torch.rand(1)  # where the caller's random numbers stand must not matter
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(3)
    again, other = train(frame), train(frame, seed=8, fast=True)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_num_threads() == 3
    torch.set_num_threads(threads)
    assert again.metadata == model.metadata
    assert all(torch.equal(one, two) for one, two in zip(again.parameters(), model.parameters(), strict=True))
    assert not torch.equal(other.country.weight, model.country.weight)


def test_rows_come_in_any_shape(frame, model):
    rows = features(frame).head(3)
    usd = model.predict(rows)
    assert usd.shape == (3,)
    assert usd.dtype == np.float64
    assert np.allclose(model.predict(rows.to_dict("records")), usd)
    assert np.allclose(model.predict(rows.iloc[0].to_dict()), usd[:1])
    assert np.allclose(model.predict(rows[reversed(list(rows))]), usd)
    with pytest.raises(ValueError, match="uses_sql, country"):
        model.predict({"years_exp": 3, "uses_python": 1, "uses_js": 0, "uses_ai": 0})


def test_salaries_must_be_cleaned_first(frame):
    for bad in (0.0, -5.0, np.nan):
        spoiled = frame.copy()
        spoiled.iloc[3, spoiled.columns.get_loc("ConvertedCompYearly")] = bad
        with pytest.raises(ValueError, match="clean"):
            train(spoiled, fast=True)


def test_metadata_describes_the_training_data(frame, model):
    metadata = model.metadata
    assert metadata_problem(json.loads(json.dumps(metadata))) == ""
    assert metadata["bounds"]["years_exp"] == [frame["YearsCode"].min(), frame["YearsCode"].max()]
    assert metadata["data_sha256"] == frame.attrs["sha256"]
    counts = frame["Country"].value_counts()
    assert set(metadata["countries"]) == {OTHER, *counts.index[counts >= 30]}


@pytest.mark.skipif(not REAL, reason=f"needs the real survey file: name it with {SURVEY_VARIABLE}")
def test_real_survey_reaches_the_stated_figures():
    frame = clean(load_salaries("survey"))
    metrics = [train(frame, seed=seed).metadata["metrics"] for seed in (7, 8, 9)]
    assert np.mean([entry["r2"] for entry in metrics]) >= 0.49
    assert np.mean([entry["mae_usd"] for entry in metrics]) <= 32_000


# Saving and loading


def test_both_ways_bring_the_same_model_back(frame, model, saved, tmp_path):
    rows = features(frame).head(50)
    expected = model.predict(rows)
    assert np.array_equal(load(saved).predict(rows), expected)
    assert load(saved).metadata == model.metadata
    save_pickled(model, tmp_path / "model.pt")
    save_pickled(model, tmp_path / "model.joblib")
    assert np.array_equal(torch.load(tmp_path / "model.pt", weights_only=False).predict(rows), expected)
    assert np.array_equal(joblib.load(tmp_path / "model.joblib").predict(rows), expected)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "model.pt", weights_only=True)  # a whole object is not weights only


def test_loading_leaves_random_numbers_alone(saved):
    state = torch.get_rng_state()
    load(saved)
    assert torch.equal(state, torch.get_rng_state())


def test_safe_files_hold_no_pickle_and_repeat_byte_for_byte(frame, saved, tmp_path):
    assert sorted(path.name for path in saved.iterdir()) == ["metadata.json", "model.safetensors"]
    save(train(frame), tmp_path / "again")
    for path in saved.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def change(key, value):
    return lambda metadata: metadata.update({key: value})


def inside(key, name, value):
    return lambda metadata: metadata[key].update({name: value})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda metadata: metadata.pop("seed"), "exactly the keys"),
        (change("code", "print()"), "exactly the keys"),
        (change("format", 2), "format"),
        (change("format", True), "format"),
        (change("features", ["country"]), "features"),
        (change("features", "years_exp"), "features"),
        (change("bounds", []), "bounds for every feature"),
        (lambda metadata: metadata["bounds"].pop("uses_ai"), "bounds for every feature"),
        (inside("bounds", "years_exp", [5, 1]), "low, high"),
        (inside("bounds", "years_exp", [1, "5"]), "low, high"),
        (inside("bounds", "years_exp", [0, 10**400]), "low, high"),
        (inside("bounds", "uses_ai", None), "low, high"),
        (change("countries", {}), "countries"),
        (change("countries", []), "Other"),
        (change("countries", ["Peru", "Other"]), "Other"),
        (change("countries", ["Other", "Peru", "Peru"]), "repeat"),
        (change("countries", ["Other", 5]), "printable"),
        (change("countries", ["Other", "Pe\nru"]), "printable"),
        (change("countries", ["Other", "\ud800"]), "printable"),
        (change("data_sha256", "A" * 64), "data_sha256"),
        (change("data_sha256", "a" * 63), "data_sha256"),
        (change("data_sha256", "a" * 64 + "\n"), "data_sha256"),
        (change("metrics", {}), "metrics"),
        (inside("metrics", "r2", True), "metrics"),
        (change("seed", "7"), "seed"),
        (change("seed", False), "seed"),
        (lambda metadata: metadata["countries"].append("Atlantis"), "other tensors"),
    ],
)
def test_unsound_metadata_is_refused(saved, spoil, message):
    metadata = json.loads((saved / "metadata.json").read_bytes())
    spoil(metadata)
    (saved / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ModelFileError, match=message):
        load(saved)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"seed": NaN}', "[" * 100_000, "\x80", "null", "1" * 5_000])
def test_broken_metadata_is_refused(saved, text):
    (saved / "metadata.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelFileError, match=r"metadata\.json"):
        load(saved)


def test_nan_in_metadata_is_refused(saved):
    text = (saved / "metadata.json").read_text(encoding="utf-8")
    (saved / "metadata.json").write_text(text.replace('"seed": 7', '"seed": NaN'), encoding="utf-8")
    with pytest.raises(ModelFileError, match="not valid JSON: NaN"):
        load(saved)


class Payload:
    """Unpickled, it leaves a marker file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_a_pickle_under_the_safe_name_does_not_run(saved, tmp_path):
    marker = tmp_path / "marker"
    pickle.loads(pickle.dumps(Payload(marker)))
    assert marker.exists()  # the payload works …
    marker.unlink()
    for write in (
        lambda path: path.write_bytes(pickle.dumps(Payload(marker))),
        lambda path: torch.save(Payload(marker), path),
    ):
        write(saved / "model.safetensors")
        with pytest.raises(ModelFileError, match="not a safetensors file"):
            load(saved)
    assert not marker.exists()  # … and never ran


def test_wrong_weights_are_refused(model, saved):
    path = saved / "model.safetensors"
    whole, state = path.read_bytes(), model.state_dict()
    path.write_bytes(whole[:-4])
    with pytest.raises(ModelFileError, match="not a safetensors file"):
        load(saved)
    path.write_bytes(whole + bytes(1 << 20))
    with pytest.raises(ModelFileError, match="larger than any model"):
        load(saved)
    for name, tensor in {"target": torch.zeros(3), "center": state["center"].double(), "extra": torch.zeros(1)}.items():
        path.write_bytes(safetensors.torch.save({**state, name: tensor}))
        with pytest.raises(ModelFileError, match="other tensors"):
            load(saved)
    path.write_bytes(safetensors.torch.save({**state, "target": torch.tensor([0.0, float("inf")])}))
    with pytest.raises(ModelFileError, match="not finite"):
        load(saved)
    path.unlink()
    with pytest.raises(ModelFileError, match="cannot be read"):
        load(saved)


def test_saving_where_nothing_can_be_written_is_said(model, tmp_path):
    (tmp_path / "model").write_text("a file where the folder should be")
    with pytest.raises(ModelFileError, match="cannot be saved"):
        save(model, tmp_path / "model")


def test_metadata_that_would_not_load_is_not_saved(model, tmp_path):
    spoiled = copy.deepcopy(model)
    spoiled.metadata["metrics"]["r2"] = float("nan")
    with pytest.raises(ValueError):
        save(spoiled, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_importing_the_package_is_light():
    code = "import sys, mlsecops.salary; assert not {'torch', 'pandas', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
