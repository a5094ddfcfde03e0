"""The statistics of `detectors`, on one client at a time while its requests come in."""

import pandas as pd

from mlsecops.monitoring.detectors import Calibration
from mlsecops.monitoring.rules import Detector


def detector_of(calibration: Calibration) -> Detector:
    """A detector for ``watch``: flags a client whose last queries the calibration flags.

    A client is looked at again and again, so more of the honest ones are flagged at some time than the calibration's
    rate says of one look: calibrate at a lower one.
    """

    fields = {field for part in calibration.reference.parts for field in part.fields}

    def detector(queries: list[dict], asked: int, explained: tuple[str, ...] = ()) -> dict | None:
        queries = [query for query in queries if query.keys() >= fields]
        if not queries:
            raise ValueError(f"the calibration is of other fields than the log's: {', '.join(sorted(fields))}")
        found = calibration.score(pd.DataFrame(queries).assign(client=0), explained).iloc[0]
        if not found["flagged"]:
            return None
        return {
            "p": float(found["p"]),
            "because": str(found["because"]),
            "fresh": int(found["n"]),
            "of the last": len(queries),
            "queries": asked,
        }

    return detector
