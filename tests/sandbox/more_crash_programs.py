"""More small programs that crash, of further kinds."""

from __future__ import annotations

from collections.abc import Mapping

from tests.sandbox.crash_programs import Program

MORE: Mapping[str, Program] = {
    "decorated": Program(
        files={
            "jobs/__init__.py": "",
            "jobs/registry.py": """\
import functools, time

REGISTRY = {}

class Task:
    def __init__(self, function, retries):
        self.function = function
        self.retries = retries
        self.calls = 0
        functools.update_wrapper(self, function)

    def __call__(self, *args, **kwargs):
        self.calls += 1
        started = time.monotonic()
        try:
            return self.function(*args, **kwargs)
        finally:
            self.last = time.monotonic() - started

def task(retries=0):
    def wrap(function):
        made = Task(function, retries)
        REGISTRY[function.__name__] = made
        return made
    return wrap
""",
            "jobs/tasks.py": """\
from .registry import task

@task(retries=3)
def export(payload):
    header = payload["fields"]
    return [[row[name] for name in header] for row in payload["rows"]]
""",
        },
        traffic="""\
from jobs.tasks import export
print(export({"rows": [{"a": 1}], "fields": ["a"]}))
print(export({"rows": [{"a": 1}, {"b": 2}], "fields": ["a"]}))
""",
    ),
    "decorator-wrapper": Program(
        files={
            "rpc/__init__.py": "",
            "rpc/checks.py": """\
import functools

def checked(**fields):
    def wrap(function):
        @functools.wraps(function)
        def inner(payload, *args, **kwargs):
            for name, kind in fields.items():
                payload[name] = kind(payload[name])
            return function(payload, *args, **kwargs)
        return inner
    return wrap
""",
            "rpc/api.py": """\
from .checks import checked

@checked(name=str, age=int)
def add_user(payload, strict=True):
    return {"id": 1, **payload}
""",
        },
        traffic="""\
from rpc.api import add_user
print(add_user({"name": "Ada", "age": 3}))
print(add_user({"name": "Bob", "age": "x"}, strict=False))
""",
    ),
    "iterator-protocol": Program(
        files={
            "paging/__init__.py": "",
            "paging/pages.py": """\
import math

class Page(list):
    def first(self):
        return self[0]

class Pages:
    def __init__(self, items, size):
        self._items = items
        self._size = size

    def __len__(self):
        return max(1, math.ceil(len(self._items) / self._size))

    def __iter__(self):
        for at in range(len(self)):
            yield self.page(at)

    def page(self, at):
        return Page(self._items[at * self._size : (at + 1) * self._size])
""",
        },
        traffic="""\
from paging.pages import Pages
class_ = Pages(list(range(7)), size=3)
for page in class_:
    print(page.first(), len(page))
print([p.first() for p in Pages([], size=3)])
print(Pages([1, 2], size=0).page(0))
""",
    ),
    "state-machine-property": Program(
        files={
            "flow/__init__.py": "",
            "flow/machine.py": """\
class Machine:
    def __init__(self, name, table, start=None):
        self.name = name
        self.table = table
        self.state = start or next(iter(table))
        self.history = [self.state]

    @property
    def next(self):
        return self.table[self.state][0]

    def to(self, state):
        if state not in self.table[self.state]:
            raise ValueError(state)
        self.state = state
        self.history.append(state)
""",
        },
        traffic="""\
from flow.machine import Machine
m = Machine("order", {"new": ["paid"], "paid": ["shipped"], "shipped": []})
m.to("paid"); m.to("shipped")
print(m.history)
print(m.next)
""",
    ),
    "visitor-ast": Program(
        files={
            "calc/__init__.py": "",
            "calc/run.py": """\
import ast, operator

class Evaluator(ast.NodeVisitor):
    OPS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}

    def __init__(self, names):
        self.names = names

    def visit_BinOp(self, node):
        return self.OPS[type(node.op)](self.visit(node.left), self.visit(node.right))

    def visit_UnaryOp(self, node):
        return -self.visit(node.operand)

    def visit_Constant(self, node):
        return node.value

    def visit_Name(self, node):
        return self.names[node.id]

    def visit_Expression(self, node):
        return self.visit(node.body)

def evaluate(text, names=None):
    return Evaluator(names or {}).visit(ast.parse(text, mode="eval"))
""",
        },
        traffic="""\
from calc.run import evaluate
print(evaluate("1 + 2 * 3"), evaluate("4 - -2"))
print(evaluate("8 / (2 - x)", {"x": 2, "y": None}))
""",
    ),
    "enum-config": Program(
        files={
            "mode/__init__.py": "",
            "mode/run.py": """\
import enum
from typing import NamedTuple

class Level(enum.Enum):
    LOW = 1
    HIGH = 5

class Config(NamedTuple):
    level: Level
    hosts: tuple
    options: dict

    def retries(self):
        return int(self.options["retry"]) * self.level.value

def start(config):
    return [(host, config.retries()) for host in config.hosts]
""",
        },
        traffic="""\
from mode.run import Level, Config, start
print(start(Config(level=Level.LOW, hosts=("a", "b"), options={"retry": "3"})))
print(start(Config(level=Level.HIGH, hosts=("a",), options={"retry": ""})))
""",
    ),
    "datetime-tz": Program(
        files={
            "slotting/__init__.py": "",
            "slotting/slots.py": """\
import datetime as dt

class Slot:
    def __init__(self, start, minutes):
        self.start = start
        self.minutes = minutes

    @property
    def end(self):
        return self.start + dt.timedelta(minutes=self.minutes)

    def __lt__(self, other):
        return self.start < other.start

def overlaps(slots):
    ordered = sorted(slots)
    return [(a, b) for a, b in zip(ordered, ordered[1:]) if a.end > b.start]
""",
        },
        traffic="""\
import datetime as dt
from slotting.slots import overlaps, Slot
utc = dt.timezone.utc
print(overlaps([Slot(dt.datetime(2024, 1, 1, 9, tzinfo=utc), 30), Slot(dt.datetime(2024, 1, 1, 9, 10), 30)]))
""",
    ),
    "xml-element": Program(
        files={
            "feed/__init__.py": "",
            "feed/rss.py": """\
def text_of(element, name):
    return element.find(name).text.strip()

def items(root):
    return [(text_of(item, "title"), text_of(item, "pubDate")) for item in root.iter("item")]
""",
        },
        traffic="""\
import xml.etree.ElementTree as ET
from feed.rss import items
xml = "<rss><channel><item><title>A</title><pubDate>x</pubDate></item><item><pubDate>y</pubDate></item></channel></rss>"
print(items(ET.fromstring(xml)))
""",
    ),
    "subclass-super": Program(
        files={
            "store/__init__.py": "",
            "store/cache.py": """\
from collections import OrderedDict

class LRU(OrderedDict):
    def __init__(self, limit):
        super().__init__()
        self.limit = limit

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        while self.size() > self.limit:
            self.popitem(last=False)

    def size(self):
        return len(self)

class SizedCache(LRU):
    def size(self):
        return sum(len(value) for value in self.values())
""",
        },
        traffic="""\
from store.cache import SizedCache
c = SizedCache(2)
c["a"] = b"12"; c["b"] = "x"
c["c"] = None
""",
    ),
    "sdk-list-cut": Program(
        files={
            "bulk/__init__.py": "",
            "bulk/load.py": """\
def convert(row):
    return {"id": row["id"], "v": row["v"].strip()}

def load(rows):
    done = []
    for row in rows:
        done.append(convert(row))
    return done
""",
        },
        traffic="""\
from bulk.load import load
print(load([{"id": i, "v": str(i)} for i in range(14)] + [{"id": 14, "v": None}]))
""",
    ),
    "int-keys-tuple": Program(
        files={
            "graph/__init__.py": "",
            "graph/walk.py": """\
def walk(edges, start):
    seen, pending, total = set(), [start], 0
    while pending:
        node = pending.pop()
        seen.add(node)
        for other, length in edges[node]:
            total += length
            if other not in seen:
                pending.append(other)
    return total
""",
        },
        traffic="""\
from graph.walk import walk
print(walk({1: [(2, 5)], 2: [(3, 1)]}, 1))
""",
    ),
    "third-party-object": Program(
        files={
            "net/__init__.py": "",
            "net/urls.py": """\
def host_of(parts):
    return parts.hostname.lower().removeprefix("www.")
""",
        },
        traffic="""\
from urllib.parse import urlsplit
from net.urls import host_of
print(host_of(urlsplit("http://a.example/x")), host_of(urlsplit("/only/path")))
""",
    ),
    "mutated-args": Program(
        files={
            "q/__init__.py": "",
            "q/drain.py": """\
def drain(lines):
    found = {}
    while lines:
        key, value = lines.pop(0).split(":")
        found[key] = value
    return found
""",
        },
        traffic="""\
from q.drain import drain
print(drain(["a:1", "b:2", "c"]))
""",
    ),
    "exception-chain": Program(
        files={
            "io_/__init__.py": "",
            "io_/load.py": """\
import json

class LoadError(Exception):
    def __init__(self, text, cause):
        self.text = text
        super().__init__(f"cannot load {text[:cause.position]!r}")

def load(text):
    try:
        return json.loads(text)
    except ValueError as error:
        raise LoadError(text, error) from error
""",
        },
        traffic="""\
from io_.load import load
print(load("[1, 2"))
""",
    ),
    "weird-objects": Program(
        files={
            "bill/__init__.py": "",
            "bill/row.py": """\
def format_row(row):
    return " ".join([str(row["id"]), row["due"].isoformat(), f"{row['sum']:.2f}", row["file"].name])
""",
        },
        traffic="""\
from pathlib import Path
from decimal import Decimal
import datetime as dt, uuid
from bill.row import format_row
print(format_row({"id": uuid.UUID(int=5), "due": dt.date(2024, 2, 1), "sum": Decimal("3.5"), "file": Path("/srv/x/a.pdf")}))
print(format_row({"id": uuid.UUID(int=6), "due": None, "sum": Decimal("1"), "file": Path("b")}))
""",
    ),
}
