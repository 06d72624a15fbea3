"""Patterns of what a failure depends on beside its input: order, encodings, clocks, room, packages, settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from fixloop.changes.kinds import is_lock
from fixloop.changes.pins import canonical
from fixloop.investigate.citing import added, commit, kind, line, line_text, message, told
from fixloop.investigate.drafting import Guess
from fixloop.investigate.pack import Moment, Pack
from fixloop.reproduce.syntax import parse
from store.repair import Evidence, Prediction
from triage.paths import normal

CLOSE = 2_000  # milliseconds in which two occurrences may have met
_DUPLICATE = re.compile(
    r"unique constraint|duplicate key|duplicate entry|already exists|UNIQUE failed", re.IGNORECASE
)
_LOCKED = re.compile(r"database is locked|deadlock|could not serialize|changed size during iteration", re.I)
_RACY = frozenset({"IntegrityError", "UniqueViolation", "FileExistsError", "FileNotFoundError", "KeyError",
                   "DoesNotExist", "OperationalError", "RuntimeError", "IndexError", "DuplicateKeyError"})  # fmt: skip


def race(pack: Pack) -> Iterator[Guess]:
    """Check, then act: between the two another did the same."""
    said, checked = message(pack), _checked_before(pack)
    telling = bool(_DUPLICATE.search(said) or _LOCKED.search(said))
    if kind(pack) not in _RACY or not (telling or checked):
        return
    close = _close(pack)
    if not telling and not close:
        return
    at = line(pack, "acts on what was looked at before")
    evidence = [told(pack, "what the second one meets"), at, checked]
    evidence += [_logged(moment, "happened at the same moment") for moment in close[:2]]
    together = f"; {len(close)} things of the same kind happened within {CLOSE} ms" if close else ""
    yield Guess(
        kind="race", score=0.6 if checked and (telling or close) else 0.35,
        statement=f"two at once: what was looked at had changed when it was acted on{together}",
        evidence=tuple(evidence),
        predicts="one call after the other works", test=Prediction(kind="schedule"),
        missing=() if close else (
            "what else ran at that moment: access log lines of the same second (setting `logs`)",),
    )  # fmt: skip


def _checked_before(pack: Pack) -> Evidence | None:
    """A test for being there, above the line that failed and in the same function."""
    code = pack.failed
    tree = parse(_dedented(code.text)) if code else None
    if code is None or tree is None or code.failed is None:
        return None
    at = code.failed - code.first + 1
    best: ast.If | None = None
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and node.lineno <= at and _looks(node.test):
            best = node
    if best is None:
        return None
    number = code.first + best.lineno - 1
    return Evidence(
        kind="code_line", claim="looks whether it is there", repo=code.repo, commit=code.commit, path=code.path,
        line=number, quote=(code.line(number) or "").strip(),
    )  # fmt: skip


def _looks(test: ast.expr) -> bool:
    for node in ast.walk(test):
        match node:
            case ast.Compare(ops=[ast.In() | ast.NotIn()]):
                return True
            case ast.Compare(ops=[ast.Is() | ast.IsNot()], comparators=[ast.Constant(value=None)]):
                return True
            case ast.Call(func=ast.Attribute(attr="exists" | "is_file" | "is_dir" | "first" | "isfile")):
                return True
            case ast.UnaryOp(op=ast.Not(), operand=ast.Name() | ast.Call()):
                return True
            case _:
                continue
    return False


def _dedented(text: str) -> str:
    lines = text.split("\n")
    edge = min((len(each) - len(each.lstrip()) for each in lines if each.strip()), default=0)
    return "\n".join(each[edge:] for each in lines)


def _close(pack: Pack) -> list[Moment]:
    """Occurrences and lines so close together that they may have met."""
    events = [moment for moment in pack.moments if moment.id.startswith("E") and "." not in moment.id]
    lines = [moment for moment in pack.moments if not moment.id.startswith("E")]
    found: list[Moment] = []
    for one, other in pairwise(events):
        if other.offset - one.offset <= CLOSE:
            found += [moment for moment in (one, other) if moment not in found]
    where = pack.first.transaction or ""
    path = where.rpartition(" ")[2].split("?")[0]
    for moment in lines:
        near = any(abs(moment.offset - event.offset) <= CLOSE for event in events)
        if near and len(path) > 1 and path in moment.text:
            found.append(moment)
    return found if len(found) > 1 else []


def _logged(moment: Moment, claim: str) -> Evidence:
    quote = moment.text if len(moment.text) <= 200 else moment.text[:160]
    return Evidence(kind="log_line", claim=claim, pointer=moment.id, quote=quote)


def encoding(pack: Pack) -> Iterator[Guess]:
    """Bytes that are not what they are taken for."""
    if kind(pack) not in {"UnicodeDecodeError", "UnicodeEncodeError", "LookupError"} and not re.search(
        r"codec can't (?:de|en)code|unknown encoding|BOM", message(pack)
    ):
        return
    found = re.search(r"'([\w-]+)' codec", message(pack))
    codec = f" as {found[1]}" if found else ""
    yield Guess(
        kind="encoding", score=0.5, statement=f"a text comes in another encoding than it is read or written{codec}",
        evidence=(told(pack, "the bytes that do not fit"), line(pack, "reads or writes them")),
        missing=("the first bytes of that file or message, and who sends it with which charset",),
    )  # fmt: skip


_ZONES = re.compile(
    r"offset-naive and offset-aware|tz-naive|tz-aware|time zone|timezone|tzinfo|ambiguous time|"
    r"non-?existent time|day is out of range",
    re.IGNORECASE,
)


def time_zones(pack: Pack) -> Iterator[Guess]:
    """Moments with a zone beside moments without one."""
    if not _ZONES.search(message(pack)):
        return
    naive = re.compile(
        r"utcnow\(|now\(\)|fromtimestamp\(|strptime\(|fromisoformat\(|tzinfo|timezone|astimezone"
    )
    evidence = [told(pack, "the two kinds of moments"), line(pack, "puts them together")]
    for change in pack.changes:
        for path, text in added(change, naive):
            yield Guess(
                kind="time_zones", score=0.55,
                statement=f"{change.commit[:9]} began to make moments of the other kind: with a zone, or without",
                evidence=(*evidence, commit(change, "makes moments", path, text)),
                predicts="without what that change did the same call works",
                test=Prediction(repo=change.repo, commit=change.commit),
            )  # fmt: skip
            return
    yield Guess(
        kind="time_zones", score=0.35, statement="a moment with a zone meets one without",
        evidence=tuple(evidence), missing=("where each of the two moments comes from: local variables",),
    )  # fmt: skip


_ROOM = re.compile(
    r"too many open files|no space left|out of memory|cannot allocate|pool.{0,20}(?:limit|exhaust|timeout)|QueuePool|"
    r"too many connections|connection pool|remaining connection slots|OOM|can't start new thread|"
    r"resource temporarily unavailable|maximum recursion depth|disk quota|read-only file system",
    re.IGNORECASE,
)
_SPENT = frozenset({"MemoryError", "RecursionError", "OOMKilled", "OutOfMemoryError", "PoolTimeout"})


def exhaustion(pack: Pack) -> Iterator[Guess]:
    """Something that there is only so much of ran out."""
    found = _ROOM.search(message(pack))
    if kind(pack) not in _SPENT and found is None:
        return
    what = found.group().lower() if found else kind(pack)
    lines = [m for m in pack.moments if _ROOM.search(m.text) and not m.id.startswith("E")]
    yield Guess(
        kind="resource_exhaustion", score=0.55,
        statement=f"a resource ran out ({what}); the failing line met it first",
        evidence=(told(pack, "what ran out"), line(pack, "asks for it"), *(_logged(m, "so too") for m in lines[:2])),
        missing=("how much of it was in use in the minutes before: a Prometheus query (drill-down `prometheus`)",),
    )  # fmt: skip


_INSTALLED = re.compile(r"(?:site|dist)-packages/([A-Za-z0-9_.]+?)(?:\.py)?(?:/|$)")
BUMPS = 3  # changes of versions that are thought of


def dependency(pack: Pack) -> Iterator[Guess]:
    """A package of the trace, one that a name is missing from, or one that the failing file imports came in another
    version."""
    error = pack.first.exception
    paths = [normal(frame.abs_path or frame.filename or "") for frame in (error.frames if error else ())]
    packages = {canonical(found[1]) for path in paths if (found := _INSTALLED.search(path))}
    named = re.search(r"(?:No module named|cannot import name .* from|module) '([\w.]+)'", message(pack))
    if named:
        packages.add(canonical(named[1].partition(".")[0]))
    imported = {canonical(name) for frame in pack.own[-1:] for name in _imported(frame.source)}
    about = [pair for pair in pack.bumps if pair[1].package in packages]
    about += [pair for pair in pack.bumps if pair[1].package in imported - packages]
    for change, bump in about[:BUMPS]:
        how = "is in the trace" if bump.package in packages else "the failing file imports"
        path = next(path for path in change.files if is_lock(path))
        yield Guess(
            kind="dependency_upgrade", score=0.5 if bump.package in packages else 0.35,
            statement=f"{change.commit[:9]} brought {bump}, which {how}",
            evidence=(told(pack, "what fails"), commit(change, "changes its version", path)),
            predicts=f"with {bump.package} {bump.old} the same call works",
            test=Prediction(kind="package", repo=change.repo, commit=change.commit, name=bump.package),
            missing=(f"a run with {bump.package} {bump.old} installed: that version as a wheel",),
        )  # fmt: skip


def _imported(source: str) -> Iterator[str]:
    """The top-level modules that a file imports."""
    tree = parse(source)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


_SETTING = re.compile(
    r"os\.environ\s*\[\s*['\"](\w+)|os\.getenv\(\s*['\"](\w+)|\bsettings\.(\w+)|\bconfig\[\s*['\"](\w+)"
)


def configuration(pack: Pack) -> Iterator[Guess]:
    """A setting that is absent, or not what the code takes it for."""
    found = _SETTING.search(line_text(pack))
    named = kind(pack) in {"ImproperlyConfigured", "ConfigurationError", "SettingsError", "ConfigError"}
    if not named and (
        found is None or kind(pack) not in {"KeyError", "TypeError", "ValueError", "AttributeError"}
    ):
        return
    name = next(filter(None, found.groups()), "") if found else ""
    where = f" in {pack.first.environment}" if pack.first.environment else ""
    yield Guess(
        kind="configuration", score=0.5,
        statement=f"the setting {name or 'that the message names'} is absent or has another form{where}",
        evidence=(told(pack, "what is missed"), line(pack, "reads it")),
        predicts=f"with {name} in the environment the same call works" if name else "",
        test=Prediction(kind="setting", name=name) if name else None,
        missing=(f"the environment of that process{where}: is {name or 'it'} set there, and since which deployment",),
    )  # fmt: skip
