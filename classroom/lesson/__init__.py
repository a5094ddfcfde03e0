"""What the lessons share: a sandbox that records what happens in it, a service to attack, displays for measurements."""

from classroom.lesson.display import (
    COLORS,
    Defense,
    before_after,
    measured,
    reveal,
    show,
    show_source,
    sliding,
    stopwatch,
    timing,
)
from classroom.lesson.sandbox import ROOT, Canary, Recording, keep, run_recorded, setup, workspace
from classroom.lesson.service import Service, serve

__all__ = [
    "COLORS",
    "ROOT",
    "Canary",
    "Defense",
    "Recording",
    "Service",
    "before_after",
    "keep",
    "measured",
    "reveal",
    "run_recorded",
    "serve",
    "setup",
    "show",
    "show_source",
    "sliding",
    "stopwatch",
    "timing",
    "workspace",
]
