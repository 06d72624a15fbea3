"""Each template on code that states a policy, and on the same code without one. Real git; nothing is run here: that is
the judge's business, and tests/sandbox/test_fixers.py's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fixloop.bench import Bench
from fixloop.fixers import FixCase
from fixloop.fixers.rules import TEMPLATES, RuleFixer
from fixloop.prove import Cause
from fixloop.reproduce.ladder import Reproduction
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.same import Signature
from fixloop.running.environments import Environment
from fixloop.running.runner import Outcome
from fixloop.running.worlds import Layout, RepoLayout, Trees
from fixloop.sandboxes import best
from fixloop.situation import ReleaseSources, Situation
from store.mirrors import Mirrors
from store.repair import CandidateChange, ChangeVerdict
from tests.sandbox.histories import History, crash, frame, write
from tests.unit.template_samples import (
    CHOICE,
    CLOSED,
    ENTITY,
    FETCHED,
    HEAVY,
    HEIGHT,
    JOINED,
    MOMENT,
    NEXT,
    NUMBER,
    OPTION,
    PICKED,
    ROWS,
    UNIT,
)


@dataclass(frozen=True)
class Bug:
    """A crash: the file as it runs, what it was before the proven change, and the failing line."""

    text: str
    error: str
    message: str
    function: str
    line: str
    before: str | None = (
        None  # the file before the change that is proven to be the cause; None: no cause is known
    )
    others: dict[str, str] = field(default_factory=dict)
    schedule: dict[str, Any] | None = None


def proposed(folder: Path, bug: Bug) -> list[str]:
    """The diffs of the templates' proposals."""
    path = "app/code.py"
    start = {"app/__init__.py": "", path: bug.before or bug.text, **bug.others}
    files = [("Start", "2024-01-01", start), ("Change", "2024-02-01", {path: bug.text})]
    first, last = write(folder / "origin", History("app", files))
    mirrors = Mirrors(folder / "mirrors")
    mirrors.add("app", str(folder / "origin"))
    layout = Layout((RepoLayout("app", last),))
    event = crash(bug.error, bug.message, frame(bug.text, path, bug.function, bug.line))
    situation = Situation([event], ReleaseSources(mirrors, layout.commits, {}), layout)
    change = CandidateChange(
        repo="app", commit=last, title="Change", author="a", authored_at=datetime(2024, 2, 1, tzinfo=UTC),
        files=(path,), verdict=ChangeVerdict.PROVEN,
    )  # fmt: skip
    bench = Bench(
        mirrors, best(), Environment("", "", (), ()), layout, Trees(folder / "trees", mirrors),
        lambda: datetime.now(UTC),
    )  # fmt: skip
    recipe = Recipe.model_validate(
        {
            "entry": "frame",
            "repo": "app",
            "target": {"module": "app.code", "qualname": bug.function},
            "inputs": {},
        }
    ).model_copy(update={"schedule": bug.schedule})
    reproduction = Reproduction(recipe, Signature(bug.error, None, None, ""), Outcome("raised"), "e")
    cause = Cause(change, None, first, {path: bug.before}, "diff") if bug.before is not None else None
    case = FixCase(situation, reproduction, cause, bench, changes=(change,))
    return [patch.diffs["app"] for patch in RuleFixer().propose(case)]


FIND = """class NotFound(Exception):
    pass


def find(rows, key):
    return rows.get(key)


def name(rows, key):
    row = find(rows, key)
    return row["name"]


def age(rows, key):
    found = find(rows, key)
    if found is None:
        raise NotFound(key)
    return found["age"]
"""
PRICE = """def total(line):
    return line["price"] * 2


def shown(line):
    return str(line["price"] if line["price"] is not None else 0)
"""
MEAN = """def mean(values, weights):
    return sum(values) / sum(weights)


def share(part, whole):
    return part / whole if whole else 0
"""
LAST = """def newest(rows):
    for row in rows:
        found = row
    return found


def oldest(rows):
    found = None
    for row in reversed(rows):
        found = row
    return found
"""
ASYNC = """async def load(key):
    return {"key": key}


async def show(key):
    row = load(key)
    return row["key"]
"""
IMPORTED = """def money(text):
    return Decimal(text)
"""
MOVED = """def total(rows):
    from app.numbers import summed
    return summed(rows)
"""
ROUND = """def drop(seen):
    for key in seen:
        if not seen[key]:
            del seen[key]
    return seen
"""
FOLDER = """import os
from pathlib import Path


def keep(folder):
    if not os.path.exists(folder):
        os.makedirs(folder)
    return folder


def cache(folder):
    Path(folder).mkdir(exist_ok=True)
"""
PART = """import os
from pathlib import Path


def publish(text, target):
    target = Path(target)
    part = target.with_suffix(".part")
    part.write_text(text)
    os.replace(part, target)
"""
LOCK = """import threading


class Seats:
    def __init__(self):
        self._lock = threading.Lock()
        self._taken = {}

    def take(self, seat):
        if seat in self._taken:
            raise ValueError(seat)
        self._taken[seat] = True

    def free(self, seat):
        with self._lock:
            del self._taken[seat]
"""
TIMES = """from datetime import UTC, datetime


def parse(text):
    return datetime.fromisoformat(text)


def late(text, now):
    return parse(text) < now
"""
ZONED = (
    TIMES
    + """

def of_feed(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
"""
)
CACHE = """_kept = {}


def kept(key, make):
    if key in _kept:
        return _kept[key]
    value = make()
    _kept[key] = tuple(value)
    return value


def with_extra(key, make):
    return kept(key, make) + ["extra"]
"""
BYTES = """def text_of(raw):
    return raw.decode("utf-8")
"""
FALLING_BACK = """def text_of(raw):
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252")
"""
OPENED = """def lines(path):
    return open(path).read().split()


def words(path):
    return open(path, encoding="utf-8").read()
"""
SENT = """def who(customer):
    return {"id": customer["id"], "name": customer["name"]}


def shipped(queue, customer):
    queue.put({"customer": who(customer)})


def told(job):
    return "to %s" % job["customer_id"]
"""
SIGNATURE = """def price(item, currency):
    return item, currency


def shown(item, currency):
    return price(item)


def listed(item):
    return price(item, currency="EUR")
"""
RENAMED = """def price(item, currency):
    return item, currency


def shown(item):
    return price(item, money="EUR")
"""
TYPO = """def has(seen, wanted):
    return seen.issupserset(wanted)
"""
DROPPED = """def price(item):
    return item


def shown(item):
    return price(item, "EUR")
"""

BUGS = {
    "the guard of a sibling": (
        Bug(FIND, "TypeError", "'NoneType' object is not subscriptable", "name", 'return row["name"]'),
        "+    if row is None:\n+        raise NotFound(key)\n", {"found is None": "len(found) > 9"},
    ),
    "a value instead of None": (
        Bug(PRICE, "TypeError", "unsupported operand type(s) for *: 'NoneType' and 'int'", "total",
            'return line["price"] * 2'),
        '+    return (line["price"] if line["price"] is not None else 0) * 2', {"is not None else 0": "or price"},
    ),
    "nothing divided by nothing": (
        Bug(MEAN, "ZeroDivisionError", "division by zero", "mean", "return sum(values) / sum(weights)"),
        "+    return (sum(values) / sum(weights) if sum(weights) else 0)", {" if whole else 0": ""},
    ),
    "a name that begins as siblings begin it": (
        Bug(LAST, "UnboundLocalError", "cannot access local variable 'found' where it is not associated with a value",
            "newest", "return found"),
        "+    found = None\n     for row in rows:", {"    found = None\n": ""},
    ),
    "a missing await": (
        Bug(ASYNC, "TypeError", "'coroutine' object is not subscriptable", "show", 'return row["key"]'),
        "+    row = await load(key)", {"async def load": "def load"},
    ),
    "an import as others write it": (
        Bug(IMPORTED, "NameError", "name 'Decimal' is not defined", "money", "return Decimal(text)",
            others={"app/other.py": "from decimal import Decimal\n\nZERO = Decimal(0)\n"}),
        "+from decimal import Decimal", {"Decimal(0)": "Decimal(0)\nfrom cdecimal import Decimal"},
    ),
    "a name that moved": (
        Bug(MOVED, "ImportError", "cannot import name 'summed' from 'app.numbers'", "total",
            "from app.numbers import summed", others={"app/sums.py": "def summed(rows):\n    return sum(rows)\n"}),
        "+    from app.sums import summed", {"def summed": "def added"},
    ),
    "a snapshot of what is gone through": (
        Bug(ROUND, "RuntimeError", "dictionary changed size during iteration", "drop", "for key in seen:"),
        "+    for key in list(seen):", {"for key in seen:": "for key in seen:  \n        pass\n    while seen:"},
    ),
    "one step instead of a check and a step": (
        Bug(FOLDER, "FileExistsError", "[Errno 17] File exists: '/tmp/x'", "keep", "os.makedirs(folder)"),
        "+        os.makedirs(folder, exist_ok=True)", {"exist_ok=True": "0o755"},
    ),
    "a temporary file of its own": (
        Bug(PART, "FileNotFoundError", "[Errno 2] No such file or directory", "publish", "os.replace(part, target)"),
        '+    part = target.with_name(f"{target.stem}.{uuid.uuid4().hex}.part")', {"os.replace(part": "os.link(part"},
    ),
    "the lock of the siblings": (
        Bug(LOCK, "ValueError", "A1", "take", "raise ValueError(seat)", schedule={"lines": 2, "before": 1}),
        "+        with self._lock:\n+            if seat in self._taken:", {"with self._lock:": "if seat:"},
    ),
    "the zone of the code": (
        Bug(ZONED, "TypeError", "can't compare offset-naive and offset-aware datetimes", "late",
            "return parse(text) < now"),
        "+    at = datetime.fromisoformat(text)\n+    return at if at.tzinfo else at.replace(tzinfo=UTC)",
        {".replace(tzinfo=UTC)": ""},
    ),
    "another encoding that was read before": (
        Bug(BYTES, "UnicodeDecodeError", "'utf-8' codec can't decode byte 0xfc in position 2", "text_of",
            'return raw.decode("utf-8")', before=FALLING_BACK),
        "+    return decoded(raw)", {"cp1252": "utf-8"},
    ),
    "the encoding of the other files": (
        Bug(OPENED, "UnicodeDecodeError", "'ascii' codec can't decode byte 0xc3 in position 2", "lines",
            "return open(path).read().split()"),
        '+    return open(path, encoding="utf-8").read().split()', {', encoding="utf-8"': ""},
    ),
    "another kind of sequence": (
        Bug(CACHE, "TypeError", 'can only concatenate tuple (not "list") to tuple', "with_extra",
            'return kept(key, make) + ["extra"]', before=CACHE.replace("tuple(value)", "value")),
        "+        return list(_kept[key])", {'["extra"]': '("extra",)'},
    ),
    "a key that moved": (
        Bug(SENT, "KeyError", "'customer_id'", "told", 'return "to %s" % job["customer_id"]',
            before=SENT.replace('{"customer": who(customer)}', '{"customer_id": customer["id"]}')),
        "job['customer']['id'] if 'customer' in job else job['customer_id']", {'"id": customer["id"], ': ""},
    ),
    "an argument that siblings give": (
        Bug(SIGNATURE, "TypeError", "price() missing 1 required positional argument: 'currency'", "shown",
            "return price(item)"),
        "+    return price(item, currency='EUR')",
        {'currency="EUR"': '"EUR"', "def shown(item, currency)": "def shown(item)"},
    ),
    "a conversion as in the other branch": (
        Bug(JOINED, "TypeError", 'can only concatenate list (not "tuple") to list', "joined",
            "return base[:-1] + steps"),
        "+    return base[:-1] + list(steps)", {"list(steps)": "steps"},
    ),
    "a conversion of an item of the same collection": (
        Bug(ROWS, "AttributeError", "'NoneType' object has no attribute 'center'", "table",
            "return [head.center(widths[i]) for i, head in enumerate(heads)]"),
        "+    return [as_text(head, most).center(widths[i])", {"as_text": "shown"},
    ),
    "the guard of the same expression": (
        Bug(NEXT, "IndexError", "list index out of range", "pairs", "return lines[at], lines[at + 1]"),
        "+    return lines[at], (lines[at + 1] if at + 1 < len(lines) else '')", {"except IndexError": "except KeyError"},
    ),
    "a refusal as where the value goes otherwise": (
        Bug(CHOICE, "IndexError", "list index out of range", "choose", "return options[0]"),
        "+        if not options:\n+            raise ValueError('nothing to choose from')", {"if not choices": "if question"},
    ),
    "a condition that the function's other statements have": (
        Bug(PICKED, "IndexError", "list index out of range", "picked", "yield both[-1]"),
        "+        if both:\n+            yield both[-1]", {"if sound:": "if 1:", "if sight:": "if 1:"},
    ),
    "what siblings answer to such a parameter": (
        Bug(UNIT, "AttributeError", "'NoneType' object has no attribute 'strip'", "unit", "return text.strip()[-1]"),
        "+    if text is None:\n+        return None", {"if text is None": "if len(text) > 9"},
    ),
    "what the class's other methods do without it": (
        Bug(CLOSED, "AttributeError", "'NoneType' object has no attribute 'write'", "send", "self.line.write(text)"),
        "+        if self.line is None:\n+            raise ConnectionError('not open')", {"is None:": "== 3:"},
    ),
    "a value that cannot be converted": (
        Bug(NUMBER, "OverflowError", "cannot convert float infinity to integer", "number", "return int(float(text))"),
        "+    except (ValueError, OverflowError):", {"except ValueError": "except KeyError"},
    ),
    "an error that siblings catch around the same call": (
        Bug(FETCHED, "TimeoutError", "timed out", "first", "return fetch(rows, 0)"),
        "+    except (ConnectionError, TimeoutError):", {"fetch(rows, -1)": "read(rows, -1)"},
    ),
    "a path that is not there": (
        Bug(HEIGHT, "NotADirectoryError", "[Errno 20] Not a directory", "size", "return os.stat(path).st_size"),
        "+    except (FileNotFoundError, NotADirectoryError):", {"FileNotFoundError": "PermissionError"},
    ),
    "what is not recognised": (
        Bug(ENTITY, "ValueError", "chr() arg not in range(0x110000)", "entity", "return chr(int(name[1:]))"),
        "+        except ValueError:\n+            pass", {'    return "&"': '    name = "&"'},
    ),
    "what the function refuses": (
        Bug(MOMENT, "OverflowError", "timestamp out of range for platform time_t", "moment",
            "return datetime.fromtimestamp(value, UTC)"),
        "+    except OverflowError as error:\n+        raise LookupError('no such moment') from error", {"value < 0": "1 < 0"},
    ),
    "the answer that siblings give instead": (
        Bug(OPTION, "AttributeError", "'NoneType' object has no attribute 'lower'", "switch",
            "return [flag, param.lower()]"),
        "+    if param is None:\n+        return []", {"is not None else []": "else []"},
    ),
    "a keyword that the other calls give": (
        Bug(HEAVY, "TypeError", "'>' not supported between instances of 'NoneType' and 'int'", "heaviest",
            "if weight > best:"),
        "+    for weight in graph.edges(key=key, default=default):", {"default=default": "default"},
    ),
    "a name that is misspelt": (
        Bug(TYPO, "AttributeError", "'set' object has no attribute 'issupserset'", "has",
            "return seen.issupserset(wanted)"),
        "+    return seen.issuperset(wanted)", {"issupserset": "missing"},
    ),
    "a parameter that has another name": (
        Bug(RENAMED, "TypeError", "price() got an unexpected keyword argument 'money'", "shown",
            'return price(item, money="EUR")', before=RENAMED.replace("currency", "money")),
        "+    return price(item, currency='EUR')", None,
    ),
    "an argument that is not taken any more": (
        Bug(DROPPED, "TypeError", "price() takes 1 positional argument but 2 were given", "shown",
            'return price(item, "EUR")', before=DROPPED.replace("price(item):", "price(item, currency):")),
        "+    return price(item)", None,
    ),
}  # fmt: skip


def without(bug: Bug, policy: dict[str, str] | None) -> Bug:
    """The same crash where the code does not say what is right."""
    if policy is None:  # it is the cause that says it
        return Bug(bug.text, bug.error, bug.message, bug.function, bug.line)

    def changed(text: str) -> str:
        for old, new in policy.items():
            text = text.replace(old, new)
        return text

    before = changed(bug.before) if bug.before is not None else None
    others = {path: changed(text) for path, text in bug.others.items()}
    line = changed(bug.line).splitlines()[0].strip()
    message = (
        bug.message.replace('not "list"', 'not "tuple"') if bug.function == "with_extra" else bug.message
    )
    return Bug(changed(bug.text), bug.error, message, bug.function, line, before, others, bug.schedule)


@pytest.mark.parametrize(
    "told",
    [
        "label = str(name)",
        "log.debug(as_text(name))",
        "print(to_upper(name))",
        "if not name: raise KeyError(as_text(name))",
    ],
)
def test_what_is_only_said_of_a_value_is_no_conversion_of_it(tmp_path: Path, told: str) -> None:
    text = f"def shown(name, log, as_text, to_upper):\n    {told}\n    return name.upper()\n"
    message = "'NoneType' object has no attribute 'upper'"
    assert proposed(tmp_path, Bug(text, "AttributeError", message, "shown", "return name.upper()")) == []


@pytest.mark.parametrize("name", BUGS)
def test_a_template_takes_its_answer_from_the_code_that_states_one(tmp_path: Path, name: str) -> None:
    bug, wanted, _ = BUGS[name]
    diffs = proposed(tmp_path, bug)
    assert any(wanted in diff for diff in diffs), diffs


@pytest.mark.parametrize("name", [name for name in BUGS if name != "a snapshot of what is gone through"])
def test_a_template_proposes_nothing_where_the_code_states_no_answer(tmp_path: Path, name: str) -> None:
    bug, _, policy = BUGS[name]
    assert proposed(tmp_path, without(bug, policy)) == []


def test_a_template_that_stumbles_keeps_no_other_from_its_patch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(crash: object) -> Sequence[object]:
        raise RuntimeError("code of a form that nobody has seen")

    monkeypatch.setattr("fixloop.fixers.rules.TEMPLATES", (broken, *TEMPLATES))
    assert proposed(tmp_path, BUGS["a missing await"][0])
