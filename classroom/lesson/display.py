"""Displays for what was measured.

Every display here prints the same text on every run with the same seed; only `timing` depends on the clock, and it
keeps to one line so that one rule can blank it when a lesson is executed twice and compared.
"""

from __future__ import annotations

import base64
import dataclasses
import html
import inspect
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from IPython.display import display

# Okabe-Ito: eight colors that stay apart for color-blind readers.
COLORS = {
    "attack": "#D55E00",
    "honest": "#0072B2",
    "accent": "#E69F00",
    "calm": "#009E73",
    "muted": "#999999",
}


@dataclasses.dataclass(frozen=True)
class Defense:
    """How one defense did: `stopped` of `attacks` attacks, `accepted` of `honest` honest cases."""

    name: str
    stopped: int
    attacks: int
    accepted: int
    honest: int

    @classmethod
    def measure(cls, name: str, accepts, attacks: Sequence, honest: Sequence) -> Defense:
        """Put every case through `accepts(case) -> bool` and count both sides.

        A defense that raises on a case has not accepted it.
        """

        def accepted(case) -> bool:
            try:
                return bool(accepts(case))
            except Exception:
                return False

        stopped = sum(not accepted(case) for case in attacks)
        return cls(name, stopped, len(attacks), sum(map(accepted, honest)), len(honest))


def before_after(key: str, defenses: Sequence[Defense]) -> None:
    """Show one table and one plot: for each defense, how many attacks still succeed and how much honest work passes.

    Args:
        key: the name under which the figures go into `build/run.json`.
        defenses: in the order of the story, "no defense" first.
    """
    import matplotlib.pyplot as plt
    import pandas as pd

    table = pd.DataFrame(
        {
            "defense": [d.name for d in defenses],
            "attacks that succeed": [f"{d.attacks - d.stopped} of {d.attacks}" for d in defenses],
            "honest cases accepted": [f"{d.accepted} of {d.honest}" for d in defenses],
        }
    )
    _record({key: [dataclasses.asdict(d) for d in defenses]}, table.to_html(index=False), table.to_string(index=False))

    figure, axes = plt.subplots(1, 2, sharey=True, figsize=(8.5, 0.9 + 0.5 * len(defenses)))
    rows = range(len(defenses))[::-1]
    sides = (
        ("attacks that succeed (%)", "attack", [100 * (1 - d.stopped / d.attacks) for d in defenses]),
        ("honest cases accepted (%)", "honest", [100 * d.accepted / d.honest for d in defenses]),
    )
    for axis, (title, color, values) in zip(axes, sides, strict=True):
        axis.barh(rows, values, color=COLORS[color], height=0.6)
        for row, value in zip(rows, values, strict=True):
            axis.text(value + 2, row, f"{value:.0f}", va="center")
        axis.set(xlim=(0, 115), xticks=(0, 50, 100), title=title)
    axes[0].set_yticks(list(rows), [d.name for d in defenses])
    figure.tight_layout()
    told = "; ".join(
        f"{d.name}: {d.attacks - d.stopped} of {d.attacks} attacks succeed, {d.accepted} of {d.honest} honest accepted"
        for d in defenses
    )
    show(figure, alt=f"Two bar charts side by side. {told}.")


def show(figure, alt: str) -> None:
    """Show a matplotlib figure with a description that a screen reader can speak, and close it.

    JupyterLab gives matplotlib's own output no alternative text, so the picture goes out as an HTML image.

    Args:
        figure: a `matplotlib.figure.Figure`.
        alt: what a reader who cannot see the figure needs to know, numbers included.
    """
    import html

    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode()
    image = f'<img alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{data}" style="max-width:100%">'
    display({"text/html": image, "text/plain": f"[figure] {alt}"}, raw=True)


def measured(label: str, value: float | int | str, unit: str = "") -> None:
    """Print one measured value on a line and keep it for `build/run.json`.

    Args:
        label: what was measured.
        value: the figure; floats are shown with three significant digits.
        unit: shown after the figure.
    """
    shown = f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else value
    shown = f"{shown:,.0f}" if isinstance(shown, float) else shown
    _record({label: value}, None, f"{label}: {shown} {unit}".rstrip())


def reveal(prediction: object, found: object) -> None:
    """Put what the reader wrote down beside what was measured; "nothing" where they wrote None."""
    print(f"You wrote: {'nothing' if prediction is None else prediction}. Measured: {found}.")


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Measure a block: `with stopwatch() as seconds: ...`; afterwards `seconds[0]` holds the time it took."""
    seconds = [0.0]
    start = perf_counter()
    try:
        yield seconds
    finally:
        seconds[0] = perf_counter() - start


def timing(**seconds: float) -> None:
    """Show durations side by side, each also as a multiple of the first: the cost of a defense.

    The only display that depends on the clock: one line that starts with `timing:`.

    Args:
        seconds: name=duration in seconds; underscores in names are shown as spaces.
    """
    base = next(iter(seconds.values()))
    parts = [f"{name.replace('_', ' ')} {_duration(s)} (×{s / base:.2g})" for name, s in seconds.items()]
    _record({"timing": seconds}, None, "timing: " + " · ".join(parts))


def sliding(compute: Callable[[float], str], label: str, values: Sequence[float], start: float):
    """Show what ``compute`` says of a value, as text, and a slider that computes it anew at each move.

    The text stands also where nothing can be moved: on a printed page, and in a notebook that is only read.

    Args:
        compute: from a value to a few lines of text.
        label: what is moved.
        values: the slider's places.
        start: the first of them.

    Returns:
        A widget, to be the last line of a cell.
    """
    import ipywidgets as widgets

    print(compute(start))
    slider = widgets.SelectionSlider(options=list(values), value=start, description=label, continuous_update=False)
    said = widgets.HTML()

    def moved(change: dict) -> None:
        said.value = f"<pre>{html.escape(compute(change['new']))}</pre>"

    slider.observe(moved, "value")
    return widgets.VBox([slider, said])


def _duration(seconds: float) -> str:
    for unit, scale in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _record(results: dict, html_text: str | None, text: str) -> None:
    # The figures travel in the output's metadata, which is kept in the executed notebook but shown to nobody.
    data = {"text/plain": text} | ({"text/html": html_text} if html_text else {})
    display(data, raw=True, metadata={"mlsecops": results})


def show_source(*things) -> None:
    """Show the source of functions or classes of this package, highlighted: what a lesson uses, it shows once."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    source = "\n\n".join(inspect.getsource(thing).rstrip() for thing in things)
    page = highlight(source, PythonLexer(), HtmlFormatter(noclasses=True, nobackground=True))
    display({"text/html": page, "text/plain": source}, raw=True)
