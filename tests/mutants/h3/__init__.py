"""Wrong answers to lab H3."""

from . import doors, limits, logs

MUTANTS = doors.MUTANTS + limits.MUTANTS + logs.MUTANTS
