"""One prediction, with the interval that holds the true salary as often as promised."""

import json
import math
from pathlib import Path

import numpy as np
import torch

from mlsecops.salary.dataset import SALARY, features
from mlsecops.salary.model import OTHER, split_rows

FILE = "interval.json"


class Predictor:
    """Answers one query at a time, without a detour over a DataFrame.

    ``width`` is the half-width of the interval on the scale of log salary, from `calibrate`.
    """

    def __init__(self, model, width):
        self._model, self._width = model.eval(), width
        self._numbers = model.metadata["features"][:-1]
        self._places = {name: place for place, name in enumerate(model.metadata["countries"])}
        self._mean, self._deviation = model.target.tolist()

    def __call__(self, query):
        """Query fields (dict) in; ``{"predicted_salary_usd": …, "prediction_interval": [low, high]}`` out, in USD."""
        numbers = torch.tensor([[float(query[name]) for name in self._numbers]])
        place = torch.tensor([self._places.get(query["country"], self._places[OTHER])])
        with torch.inference_mode():
            log_salary = self._model(numbers, place).item() * self._deviation + self._mean
        low, middle, high = (math.exp(log_salary + shift) for shift in (-self._width, 0.0, self._width))
        return {"predicted_salary_usd": round(middle), "prediction_interval": [round(low), round(high)]}


def held_out(frame, split=0):
    """Return the rows that `mlsecops.salary.model.train` keeps out of training for this ``split``: a fifth."""
    return frame.iloc[split_rows(len(frame), split)[0]]


def calibrate(model, rows, coverage=0.9):
    """Return the half-width of a prediction interval on log salary, from survey rows that did not train the model.

    Split conformal prediction (Papadopoulos et al., ECML 2002; Lei et al., JASA 2018): for a new row that is
    exchangeable with these, the interval holds the true salary with at least this probability, on average over
    rows. It is no confidence interval, and it promises nothing for a group of people, such as one country.
    Raises ValueError when the rows are too few for the coverage.
    """
    errors = np.sort(np.abs(np.log(rows[SALARY].to_numpy() / model.predict(features(rows)))))
    rank = math.ceil((len(errors) + 1) * coverage)
    if not 1 <= rank <= len(errors):
        raise ValueError(f"{len(errors)} rows are too few for a coverage of {coverage}")
    return float(errors[rank - 1])


def save_width(width, folder):
    """Write the half-width beside a saved model, to ``folder/interval.json``."""
    (Path(folder) / FILE).write_text(json.dumps({"log_half_width": width}), encoding="utf-8")


def load_width(folder):
    """Return the half-width saved beside a model. Raises OSError, or ValueError when it is no positive number."""
    content = json.loads((Path(folder) / FILE).read_text(encoding="utf-8"))
    width = content.get("log_half_width") if isinstance(content, dict) else None
    if type(width) is not float or not 0 < width < 10:
        raise ValueError(f"{Path(folder) / FILE} holds no half-width")
    return width
