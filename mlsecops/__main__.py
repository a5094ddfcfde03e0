"""The command line, ``python -m mlsecops COMMAND``: one function per command."""

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mlsecops.console import UNREADABLE_RULE, Places, Progress, files_below, show
from mlsecops.findings import FAIL, FINE, FOUND, PASS, UNKNOWN, UNREADABLE, Finding, plain

INTERRUPTED = 130  # what shells give for Ctrl-C


def scan_model(arguments):
    """Scans every file named. Returns the exit code: 0 all safe, 1 dangerous or unknown, 2 unreadable; the worst."""
    from mlsecops.artifacts import scan_file
    from mlsecops.artifacts.report import DANGEROUS
    from mlsecops.artifacts.report import UNKNOWN as UNDECIDED

    worst, rows, findings = FINE, [], []
    paths = [file for name in arguments.files for file in files_below(Path(name))]
    place = Places(arguments.files)
    if not paths:
        print("there is no file to scan in what was named", file=sys.stderr)
        findings = [place.unreadable(name, OSError("there is no file to scan")) for name in arguments.files]
        worst = UNREADABLE
    progress = Progress(len(paths))
    for path in paths:
        try:
            report = scan_file(path, digest=arguments.format == "json")  # only JSON shows it
            result = {"safe": PASS, "dangerous": FAIL}.get(report.verdict, UNKNOWN)
            rows.append(report.to_dict() | {"result": result})
            findings += [
                Finding(f.rule, "high" if f.rule in DANGEROUS else "medium", place(path), f.detail, where=f.where)
                for f in report.findings
            ]
            worst = max(worst, FINE if result == PASS else FOUND)
        except OSError as error:
            row = {"path": str(path), "verdict": "unreadable", "format": "", "error": str(error), "findings": []}
            rows.append(row | {"result": UNKNOWN})
            findings.append(place.unreadable(path, error))
            worst = UNREADABLE
        progress.step()
    rules = dict.fromkeys(sorted(DANGEROUS), "Loading the file runs, or was built to run, something else than data.")
    rules |= dict.fromkeys(sorted(UNDECIDED), "What loading the file does is not known.") | UNREADABLE_RULE
    if paths or arguments.format != "table":
        show(arguments, rows, findings, rules, scan_table(rows))
    return worst


def scan_table(rows: list[dict]) -> Iterator[str]:
    """The lines of scan-model's table: verdict, format and path, the reasons below, and the counts at the end."""
    width = max(len(row["format"]) for row in rows)
    for row in rows:
        yield f"{row['verdict']:<10}  {row['format']:<{width}}  {plain(row['path'])}"
        if "error" in row:
            yield f"            {plain(row['error'])}"
        for finding in row["findings"]:
            where = plain(finding["where"]) or "whole file"
            yield f"            {finding['rule']}: {plain(finding['detail'])} ({where})"
    counts = (
        (word, sum(row["verdict"] == word for row in rows)) for word in ("safe", "dangerous", "unknown", "unreadable")
    )
    yield ", ".join(f"{count} {word}" for word, count in counts if count)


# The rules of check-requirements: how bad, and what each is about.
REQUIREMENT_RULES = {
    "credential": ("high", "An address holds a password."),
    "direct-url": ("medium", "A package comes from an address whose content can change."),
    "editable": ("medium", "A package is used from a folder whose code can change."),
    "extra-index": ("high", "Packages come from whichever of several sources has the highest version."),
    "include": ("medium", "A file that is included was not read."),
    "insecure-index": ("high", "Packages come from a source over an unprotected connection."),
    "invalid": ("medium", "A line is not a requirement."),
    "typosquat": ("high", "A package's name looks like that of a well-known one."),
    "unhashed": ("medium", "A package's content is not compared with a known hash."),
    "unpinned": ("medium", "A package has no exact version."),
}


def check_requirements(arguments):
    """Checks requirements files. Returns the exit code: 0 no problem, 1 problems, 2 unreadable; the worst."""
    from mlsecops.supply_chain import check_requirements as problems_of

    worst, rows, findings = FINE, [], []
    place = Places(arguments.files)
    for name in arguments.files:
        try:
            problems = problems_of(Path(name))
        except (OSError, ValueError) as error:
            print(f"{plain(name)}: {plain(error)}", file=sys.stderr)
            findings.append(place.unreadable(name, error))
            worst = UNREADABLE
            continue
        if problems:
            worst = max(worst, FOUND)
        for p in problems:
            severity = REQUIREMENT_RULES[p.rule][0]
            rows.append({"path": name, "line": p.line, "rule": p.rule, "detail": p.detail, "severity": severity})
            findings.append(Finding(p.rule, severity, place(p.path), p.detail, line=p.line))
    table = [f"{plain(row['path'])}:{row['line']}: {row['rule']}: {plain(row['detail'])}" for row in rows]
    if worst == FINE:
        table = ["no problems found"]
    rules = {rule: about for rule, (_, about) in REQUIREMENT_RULES.items()} | UNREADABLE_RULE
    show(arguments, rows, findings, rules, table)
    return worst


def scan_notebook(arguments):
    """See `mlsecops.leaks.commands`."""
    from mlsecops.leaks.commands import scan_notebook as run

    return run(arguments)


def clean_notebook(arguments):
    """See `mlsecops.leaks.commands`."""
    from mlsecops.leaks.commands import clean_notebook as run

    return run(arguments)


def audit_key(arguments: argparse.Namespace) -> bytes:
    """The key of the audit log: from ``--key-file`` (hexadecimal), else derived from SALARY_SECRET.

    Raises OSError or ValueError when there is none.
    """
    from mlsecops.audit_log import derive

    if arguments.key_file:
        try:
            key = bytes.fromhex(Path(arguments.key_file).read_text(encoding="ascii"))
        except ValueError:
            raise ValueError(f"{arguments.key_file} holds no hexadecimal key") from None
        if len(key) != 32:
            raise ValueError(f"{arguments.key_file} holds {len(key)} bytes; the key of a log has 32")
        return key
    if secret := os.environ.get("SALARY_SECRET"):
        return derive(secret, "audit")
    raise ValueError("the key of the log is needed: --key-file, or SALARY_SECRET in the environment")


def refused(error: Exception, name: str) -> int:
    """Says in a sentence why something could not be read, and names a file. Returns the exit code."""
    text = str(error)
    named = isinstance(error, OSError) and error.filename
    print(plain(text if named or Path(name).name in text or "--" in text else f"{name}: {text}"), file=sys.stderr)
    return UNREADABLE


def json_of(name: str) -> object:
    """What a JSON file holds. Raises OSError, and ValueError with the file's name."""
    try:
        return json.loads(Path(name).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise ValueError(f"{name} is no JSON") from None


def positive(text: str) -> int:
    """A whole number of one or more, for argparse."""
    if not text.isdecimal() or not 1 <= int(text) <= 10_000_000:
        raise argparse.ArgumentTypeError("a whole number of at least 1 is needed")
    return int(text)


def seconds(text: str) -> float:
    """A time to wait, for argparse: up to a day."""
    value = float(text)
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError("a number of seconds from 0 to 86400 is needed")
    return value


def verify_log(arguments):
    """Verifies audit logs. Returns the exit code: 0 all holds, 1 something is wrong, 2 unreadable."""
    from mlsecops.audit_folder import verify

    try:
        anchor = Path(arguments.anchor) if arguments.anchor else None
        check = verify([Path(name) for name in arguments.files], audit_key(arguments), anchor)
    except (OSError, ValueError, EOFError) as error:
        return refused(error, arguments.files[0])
    words = f"{check.lines} lines in {check.files} files hold"
    table = [words] if check.ok else [f"{plain(check.file)}: {plain(check.problem)}", f"before and elsewhere {words}"]
    show(arguments, dataclasses.asdict(check), [], {}, table)
    return FINE if check.ok else FOUND


def watch(arguments):
    """Follows the service's log. Returns the exit code: 0 nothing found, 1 alerts were raised, 2 unreadable."""
    from filelock import FileLock, Timeout

    from mlsecops.monitoring.rules import declarations
    from mlsecops.monitoring.watch import Watcher

    alerts = 0

    def tell(alert):
        nonlocal alerts
        alerts += 1
        who = f"key {alert['key_id']}" if alert["key_id"] else f"address {alert['address'] or 'unknown'}"
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(alert["time"]))
        print(f"{moment} {alert['rule']}: {plain(who)}: {plain(alert['evidence'])}", file=sys.stderr, flush=True)

    try:
        key = audit_key(arguments) if arguments.key_file or not arguments.unverified else None
        detector, declared = None, {}
        if arguments.declared:
            declared = declarations(json_of(arguments.declared))
        if arguments.calibration:  # needs pandas; the rules do not
            from mlsecops.monitoring.detectors import Calibration
            from mlsecops.monitoring.streaming import detector_of

            try:
                detector = detector_of(Calibration.from_json(Path(arguments.calibration).read_text(encoding="utf-8")))
            except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError):
                words = "is no calibration; the command clients makes one with --save"
                raise ValueError(f"{arguments.calibration} {words}") from None
        with FileLock(f"{arguments.state}.lock", timeout=0):  # two would raise each alert twice
            watcher = Watcher(Path(arguments.log), Path(arguments.state), key, detector, arguments.clients, declared)
            watcher.run(sys.stdout, tell)
            while not arguments.once:
                time.sleep(arguments.seconds)
                watcher.run(sys.stdout, tell)
    except Timeout:
        print(f"another watch uses {plain(arguments.state)}", file=sys.stderr)
        return UNREADABLE
    except (OSError, ValueError, EOFError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        return refused(error, arguments.log)
    return FOUND if alerts else FINE


def clients(arguments):
    """Scores the clients in a log. Returns the exit code: 0 nobody is flagged, 1 somebody is, 2 unreadable."""
    import pandas as pd

    from mlsecops.audit_folder import merged, verify
    from mlsecops.monitoring.detectors import Calibration, Reference
    from mlsecops.monitoring.features import fresh, in_order
    from mlsecops.monitoring.log import answered

    def queries(name):
        if not arguments.unverified:
            anchor = Path(arguments.anchor) if arguments.anchor and name == arguments.log else None
            check = verify([Path(name)], audit_key(arguments), anchor)
            if not check.ok:
                raise ValueError(f"{check.file}: {check.problem}")
        try:
            return answered(merged([Path(name)]), arguments.by, arguments.unit)
        except (KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            raise ValueError(f"{name} is no log of the service") from None
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None

    try:
        if not 0 < arguments.fpr < 1:
            raise ValueError("--fpr is a rate between 0 and 1, such as 0.01")
        quiet, asked = queries(arguments.calibration), queries(arguments.log)
        fields = [name for name in quiet if name not in ("client", "time")]
        for name, table in ((arguments.calibration, quiet), (arguments.log, asked)):
            odd = [field for field in fields if field not in table or table[field].isna().any()]
            if odd or len(table.columns) != len(quiet.columns):
                raise ValueError(f"{name}: not all queries have the same fields ({', '.join(odd) or 'more'})")
        if arguments.reference:
            people = pd.read_csv(arguments.reference)
            if missing := [name for name in fields if name not in people]:
                raise ValueError(f"{arguments.reference} lacks {', '.join(missing)}")
            people = people[fields].dropna()
            for field in fields:
                if quiet[field].dtype == bool and not people[field].isin([True, False]).all():
                    raise ValueError(f"{arguments.reference}: {field} holds other values than True and False")
            people = people.astype(quiet[fields].dtypes)
        else:
            ordered = in_order(quiet)
            people = ordered.loc[fresh(ordered), fields]
        calibration = Calibration.fit(quiet, Reference.of(people), arguments.fpr)
        values = calibration.p_values(asked[quiet.columns]).drop(columns="n")
        scores = calibration.score(asked[quiet.columns])
        if arguments.save:
            Path(arguments.save).write_text(calibration.to_json(), encoding="utf-8")
    except (OSError, ValueError, EOFError) as error:
        return refused(error, arguments.log)
    counts = asked["client"].value_counts()
    units = [
        {"id": name, "p": float(row.p), "flagged": bool(row.flagged), "queries": int(counts[name]), "fresh": int(row.n)}
        | {"statistics": {statistic: float(p) for statistic, p in values.loc[name].items()}}
        for name, row in scores.sort_values("p").iterrows()
    ]
    whole = {"fpr": arguments.fpr, "threshold": calibration.threshold}
    whole |= {"calibration_units": int(quiet["client"].nunique()), "units": units}
    flagged = [unit for unit in units if unit["flagged"]]
    width = max(len(unit["id"]) for unit in units)
    table = [
        f"{plain(unit['id']):{width}}  p {unit['p']:.2g}  {unit['queries']} queries, {unit['fresh']} fresh: "
        f"{min(unit['statistics'], key=unit['statistics'].get)}"
        for unit in flagged
    ]
    table.append(f"{len(flagged)} of {len(units)} flagged, where {arguments.fpr * len(units):.2g} honest ones might be")
    show(arguments, whole, [], {}, table)
    return FOUND if flagged else FINE


def train(arguments):
    """Trains the salary model and saves it, with its prediction interval, where `serve` finds both. Returns 0 or 2."""
    from mlsecops.salary.dataset import DataError, clean, load_salaries
    from mlsecops.salary.model import train as fit
    from mlsecops.salary.storage import save
    from mlsecops.serving.interval import calibrate, held_out, save_width

    try:
        frame = clean(load_salaries())
        model = fit(frame)
        save(model, arguments.folder)
        save_width(calibrate(model, held_out(frame)), arguments.folder)
    except (DataError, OSError) as error:
        print(plain(error), file=sys.stderr)
        return UNREADABLE
    print(f"saved in {plain(arguments.folder)}: R2 {model.metadata['metrics']['r2']:.2f} on held-out rows")
    return FINE


def serve(arguments):
    """Serves a saved model, hardened. Returns the exit code of `mlsecops.serving.run.serve`."""
    from mlsecops.serving.run import serve as start

    given = vars(arguments)
    return start(given["model"], **{name: given[name] for name in ("host", "port", "workers", "tls", "demo")})


def main(argv=None):
    """Runs one subcommand; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m mlsecops", description="The course's checks, as commands.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, words in (
        ("scan-model", scan_model, "say for model files whether loading them is safe, dangerous or unknown"),
        ("check-requirements", check_requirements, "find unpinned, unhashed and mixed-index lines"),
    ):
        command = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
        command.add_argument("files", nargs="+", metavar="FILE", help="a file or, for scan-model, a folder")
        command.add_argument("--format", choices=("table", "json", "sarif"), default="table")
        command.set_defaults(run=run, command=name)
    words = "look for credentials in notebooks, code and configuration, and show none of them"
    command = commands.add_parser("scan-notebook", help=words, description=f"{words[0].upper()}{words[1:]}.")
    words = "a file, or a folder: all in it that git is not told to ignore"
    command.add_argument("files", nargs="+", metavar="PATH", help=words)
    words = "every version that the repository still holds, too, of whatever branch, stash or undone commit"
    command.add_argument("--history", action="store_true", help=words)
    command.add_argument(
        "--fingerprint-key", metavar="FILE", help="16 bytes or more; else one of the user's own is made"
    )
    command.add_argument(
        "--allow", metavar="FILE", help="findings looked at: a list of mark, reason and until, in JSON"
    )
    words = "what an allow-mark does after its last day (a nightly run should fail)"
    command.add_argument("--expired", choices=("warn", "fail"), default="warn", help=words)
    command.add_argument("--format", choices=("table", "json", "sarif"), default="table")
    command.set_defaults(run=scan_notebook, command="scan-notebook")
    words = "take out of notebooks what running them and editors left behind"
    command = commands.add_parser("clean-notebook", help=words, description=f"{words[0].upper()}{words[1:]}.")
    command.add_argument("files", nargs="+", metavar="PATH", help="a notebook, or a folder")
    command.add_argument(
        "--check", action="store_true", help="change nothing, and exit with 1 where something has to go"
    )
    command.add_argument(
        "--keep", action="append", default=[], metavar="NAME", help="metadata that stays; can be repeated"
    )
    command.set_defaults(run=clean_notebook, command="clean-notebook")
    words = "say whether audit logs hold: nothing edited, removed, moved or cut off"
    command = commands.add_parser("verify-log", help=words, description=f"{words[0].upper()}{words[1:]}.")
    command.add_argument("files", nargs="+", metavar="PATH", help="a log (with all its segments), or a folder of logs")
    command.add_argument("--key-file", metavar="FILE", help="holds the log's key in hexadecimal; else SALARY_SECRET")
    command.add_argument("--anchor", metavar="FILE", help="the log's anchor, or the folder of the logs' anchors")
    command.add_argument("--format", choices=("table", "json"), default="table")
    command.set_defaults(run=verify_log, command="verify-log")
    words = "follow the service's audit log and raise alerts, as JSON lines"
    command = commands.add_parser("watch", help=words, description=f"{words[0].upper()}{words[1:]}.")
    command.add_argument("log", metavar="FOLDER_OR_LOG", help="a folder with all workers' logs, or one log")
    command.add_argument("--calibration", metavar="CAL", help="a saved Calibration; without it there are only rules")
    command.add_argument(
        "--state", required=True, metavar="FILE", help="what has to be known to go on where it stopped"
    )
    command.add_argument("--key-file", metavar="FILE", help="holds the log's key in hexadecimal; else SALARY_SECRET")
    command.add_argument("--unverified", action="store_true", help="without a key: only the links are checked")
    command.add_argument("--once", action="store_true", help="read what there is, and end")
    command.add_argument("--clients", type=positive, default=2_000, metavar="N", help="how many clients are remembered")
    command.add_argument("--declared", metavar="FILE", help="what owners have said about keys: kind, reason, until")
    command.add_argument("--seconds", type=seconds, default=1.0, help="between two looks at the log")
    command.set_defaults(run=watch, command="watch")
    words = "say which clients in a log are unlike people, at a false-positive rate that was calibrated"
    command = commands.add_parser("clients", help=words, description=f"{words[0].upper()}{words[1:]}.")
    command.add_argument("log", metavar="LOG", help="a log, or a folder of logs")
    command.add_argument("--calibration", required=True, metavar="CAL", help="a log of legitimate clients only")
    command.add_argument(
        "--fpr", type=float, default=0.01, metavar="RATE", help="of honest clients to be flagged (0.01)"
    )
    command.add_argument("--by", choices=("key", "address"), default="key")
    words = "each client, or each day of a client: then forty keys calibrate in a few months"
    command.add_argument("--unit", choices=("client", "client-day"), default="client", help=words)
    words = "a CSV of people, such as the training data; else the calibration's own queries"
    command.add_argument("--reference", metavar="FILE", help=words)
    command.add_argument("--key-file", metavar="FILE", help="holds the logs' key in hexadecimal; else SALARY_SECRET")
    command.add_argument("--anchor", metavar="FILE", help="LOG's anchor, or the folder of the anchors")
    command.add_argument("--unverified", action="store_true", help="without a key: nothing is verified")
    command.add_argument("--save", metavar="FILE", help="keep the calibration, for watch")
    command.add_argument("--format", choices=("table", "json"), default="table")
    command.set_defaults(run=clients, command="clients")
    command = commands.add_parser("train", help="train the salary model and save it for serve")
    command.add_argument("folder", metavar="DIR")
    command.set_defaults(run=train)
    command = commands.add_parser(
        "serve", help="serve a saved model over HTTP, hardened; configured by SALARY_… variables"
    )
    command.add_argument("--model", required=True, metavar="DIR", help="made by the command train")
    command.add_argument("--host", default="127.0.0.1")
    command.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    command.add_argument("--workers", type=int, default=1)
    command.add_argument("--tls", action="store_true", help="with a self-signed certificate, for demonstrations")
    command.add_argument(
        "--demo", action="store_true", help="make a secret and an API key for this run, and print the key"
    )
    command.set_defaults(run=serve)
    arguments = parser.parse_args(argv)
    # A stream that was closed is None, and what is printed to None goes to the other one.
    sys.stdout, sys.stderr = (stream or Path(os.devnull).open("w") for stream in (sys.stdout, sys.stderr))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        print(f"stopped: {plain(error.strerror or error)}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:  # Python flushes once more when it ends: what nobody takes must go somewhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return UNREADABLE


if __name__ == "__main__":
    sys.exit(main())
