"""The salary network: a small multilayer perceptron on log salary, with a learned vector per country."""

import contextlib
import math

import numpy as np
import pandas as pd
import torch
from torch import nn

from mlsecops.salary.dataset import SALARY, features

OTHER = "Other"  # stands for every country with fewer than MIN_ROWS rows
MIN_ROWS = 30
HIDDEN, EMBEDDING = 64, 8


class SalaryModel(nn.Module):
    """Predicts USD per year from years of coding, languages, AI use and country.

    ``metadata`` is plain data (see ``storage`` for its keys); it decides the sizes of the layers, so it is all that
    is needed to build an empty model for saved weights. ``metadata["metrics"]`` holds what training measured.
    """

    def __init__(self, metadata):
        super().__init__()
        self.metadata = metadata
        numbers = len(metadata["features"]) - 1  # all but the country
        self.country = nn.Embedding(len(metadata["countries"]), EMBEDDING)
        self.layers = nn.Sequential(
            nn.Linear(numbers + EMBEDDING, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, 1),
        )
        # Scales travel with the weights: a model without its scales is a different model.
        self.register_buffer("center", torch.zeros(numbers))
        self.register_buffer("spread", torch.ones(numbers))
        self.register_buffer("target", torch.tensor([0.0, 1.0]))  # mean and standard deviation of log USD

    def forward(self, numbers, country):
        """``numbers`` float (n, k) and ``country`` int (n,) in; standardized log salary, float (n,), out."""
        scaled = (numbers - self.center) / self.spread
        return self.layers(torch.cat([scaled, self.country(country)], dim=1)).squeeze(1)

    def encode(self, rows):
        """Turn feature rows into the tensors ``forward`` takes. Unknown countries count as "Other"."""
        frame = pd.DataFrame([rows] if isinstance(rows, dict) else rows)
        if missing := [name for name in self.metadata["features"] if name not in frame]:
            raise ValueError(f"rows lack {', '.join(missing)}")
        index = {name: place for place, name in enumerate(self.metadata["countries"])}
        numbers = frame[self.metadata["features"][:-1]].to_numpy(dtype=np.float32)
        country = frame["country"].map(index).fillna(index[OTHER]).to_numpy(dtype=np.int64)
        return torch.from_numpy(numbers.copy()), torch.from_numpy(country.copy())

    def predict(self, rows):
        """Return predicted salaries, USD per year, float64 (n,).

        ``rows``: a DataFrame with the feature columns, a list of dicts, or one dict (extra columns are ignored).
        Values are used as they come: bounds are the caller's to check. Raises ValueError when a feature is missing.
        """
        with torch.inference_mode():
            scaled = self(*self.encode(rows)).double()
        mean, deviation = self.target.tolist()
        return np.exp(scaled.numpy() * deviation + mean)


def train(frame, *, seed=7, fast=False, split=0):
    """Train a SalaryModel on cleaned survey rows; the same rows and seed give the same model.

    A fifth of the rows is held out: always the same ones for the same ``split``, whatever ``seed`` trains on the
    rest, so that models compare on the same people. ``metadata["metrics"]`` states for them ``r2`` (of log salary,
    no unit), ``mae_usd``, and both row counts. ``fast`` runs 5 epochs in place of 20. Raises ValueError for a salary
    that is missing or not positive. One-cycle learning rate: L. N. Smith and N. Topin, arXiv:1708.07120.
    """
    if not (frame[SALARY] > 0).all():
        raise ValueError("every row needs a positive salary: clean() the data first")
    rows = features(frame)
    counts = rows["country"].value_counts()
    metadata = {
        "format": 1,
        "features": list(rows),
        "bounds": {name: [float(rows[name].min()), float(rows[name].max())] for name in rows if name != "country"},
        "countries": [OTHER, *sorted(counts.index[counts >= MIN_ROWS])],
        "data_sha256": frame.attrs.get("sha256"),
        "metrics": {},
        "seed": seed,
    }
    test, kept = split_rows(len(rows), split)
    salary = frame[SALARY].to_numpy(dtype=np.float64)
    with _settings(seed):
        model = SalaryModel(metadata)
        _fit(model, rows.iloc[kept], salary[kept], epochs=5 if fast else 20)
        predicted = model.predict(rows.iloc[test])
    error = np.log(predicted / salary[test])
    metadata["metrics"] = {
        "r2": float(1 - (error**2).mean() / np.log(salary[test]).var()),
        "mae_usd": float(np.abs(predicted - salary[test]).mean()),
        "rows_train": len(kept),
        "rows_test": len(test),
    }
    return model


def split_rows(count, split):
    """Return the places of the fifth of ``count`` rows that `train` holds out for this ``split``, and of the others."""
    order = np.random.default_rng(split).permutation(count)
    return order[: count // 5], order[count // 5 :]


@contextlib.contextmanager
def _settings(seed):
    """Seed torch and hold it to one thread; both are put back afterwards.

    Threads waiting for each other cost a network this small more than they bring: up to twenty times on a busy
    machine. And one thread adds numbers in one order, so the result does not depend on the number of cores.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)


def _fit(model, rows, salary, epochs, batch=512, peak=5e-3):
    numbers, country = model.encode(rows)
    log_salary = torch.from_numpy(np.log(salary)).float()
    model.center.copy_(numbers.mean(dim=0))
    model.spread.copy_(numbers.std(dim=0).clamp(min=1e-6))
    model.target.copy_(torch.stack([log_salary.mean(), log_salary.std()]))
    wanted = (log_salary - model.target[0]) / model.target[1]
    steps = epochs * math.ceil(len(wanted) / batch)
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=steps)
    loss = nn.HuberLoss()
    model.train()
    for _ in range(epochs):
        for part in torch.randperm(len(wanted)).split(batch):
            optimizer.zero_grad()
            loss(model(numbers[part], country[part]), wanted[part]).backward()
            optimizer.step()
            schedule.step()
    model.eval()
