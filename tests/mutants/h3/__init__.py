"""Wrong answers to lab H3."""

from .. import Shortcut
from . import doors, limits, logs

MUTANTS = doors.MUTANTS + limits.MUTANTS + logs.MUTANTS
_NO_LINK = 'if not head.endswith(f\', "{form["previous"]}": "{before}"\'.encode()):'
_AT_THE_ANCHOR = 'if number == anchor["line"] and mac != anchor[form["mac"]]:'
_SIZES = ("not announced.isdigit() or len(announced) > 12 or int(announced) > most", "len(body) > most")
SHORTCUTS = (
    Shortcut("h3-q1", "one answer for all that fails", (("return 404", "return 400"), ("return 405", "return 400"))),
    Shortcut("h3-q3", "the key and no size", tuple((size, "False") for size in _SIZES)),
    Shortcut("h3-q4", "no clock", (("clock()", "0"),)),
    Shortcut("h3-q5", "no clock", ((", clock()", ", 0"),)),
    Shortcut("h3-q6", "the macs only", ((_NO_LINK, "if False:"), (_AT_THE_ANCHOR, "if False:"))),
    Shortcut("h3-q7", "no header is kept back", ((".lower() in kept)", ".lower()[:8] != 'content-')"),)),
    Shortcut("h3-q8", "the thief only", (('return {"budget": budget,', 'return {"budget": 20,'),)),
)
