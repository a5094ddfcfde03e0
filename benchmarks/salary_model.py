"""Train the salary model and print how good it is and how long it takes.

    python benchmarks/salary_model.py

On the sample, and on the real survey where MLSECOPS_SURVEY_FILE names a copy. The first line of each is what lessons
see: one fixed set of people held out, three training seeds. The next two hold out ten other random fifths (how much
the figures owe to who is held out), and take the country away.
"""

import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mlsecops.salary.dataset import SURVEY_VARIABLE, clean, load_salaries
from mlsecops.salary.model import train


def measure(frame, runs):
    """Train once per (seed, split); returns R2, MAE in USD and seconds, float arrays of one entry per run."""
    rows = []
    for seed, split in runs:
        start = time.perf_counter()
        metrics = train(frame, seed=seed, split=split).metadata["metrics"]
        rows.append((metrics["r2"], metrics["mae_usd"], time.perf_counter() - start))
    return np.array(rows).T


def main():
    print(
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ",
        end="",
    )
    print(f"torch {torch.__version__}, numpy {np.__version__}, pandas {pd.__version__}")
    for source in ["sample", "survey"] if os.environ.get(SURVEY_VARIABLE) else ["sample"]:
        frame = clean(load_salaries(source))
        train(frame, fast=True)  # the first run also pays for loading libraries
        print(f"\n{source}: {len(frame):,} cleaned rows")
        seeds = [(seed, 0) for seed in (7, 8, 9)]
        splits = [(7, split) for split in range(1, 11)]
        for label, data, runs in [
            ("three seeds", frame, seeds),
            ("ten other splits", frame, splits),
            ("without country", frame.assign(Country="nowhere"), seeds),
        ]:
            r2, mae, seconds = measure(data, runs)
            print(
                f"  {label:17} R2 {r2.mean():.3f} ({r2.min():.3f} to {r2.max():.3f})   "
                f"MAE {mae.mean():,.0f} USD ({mae.min():,.0f} to {mae.max():,.0f})   {np.median(seconds):.2f} s"
            )


if __name__ == "__main__":
    main()
