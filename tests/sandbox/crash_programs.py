"""Small programs of many kinds that crash: what they are for the application, and the traffic that makes them fail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """The files of an application, the text that stands for its traffic, and where its packages stand."""

    files: Mapping[str, str]
    traffic: str
    root: str = "."


PROGRAMS: Mapping[str, Program] = {
    "dataclass-slots": Program(
        files={
            "ledger/__init__.py": "",
            "ledger/accounts.py": """\
from __future__ import annotations
from dataclasses import dataclass, field

@dataclass(slots=True)
class Entry:
    title: str
    amount: float
    category: str | None = None

    def line(self, width: int = 20) -> str:
        return f"{self.category.upper():<{width}} {self.title} {self.amount:.2f}"

@dataclass(slots=True)
class Account:
    currency: str
    entries: list[Entry] = field(default_factory=list)

    def lines(self):
        return [entry.line() for entry in self.entries]

def statement(account: Account) -> str:
    return "\\n".join(account.lines()) + account.currency
""",
        },
        traffic="""\
from ledger.accounts import Account, Entry, statement
a = Account("EUR", [Entry("rent", 120.0, None), Entry("food", 30.5, "groceries")])
print(statement(a))
""",
    ),
    "closure": Program(
        files={
            "pipes/__init__.py": "",
            "pipes/build.py": """\
def make_step(spec):
    name, _, arg = spec.partition(":")

    def step(text):
        if name == "width":
            return text.ljust(int(arg))
        return getattr(text, name)()

    return step

def pipeline(specs):
    steps = [make_step(spec) for spec in specs]

    def run(text):
        for step in steps:
            text = step(text)
        return text

    return run
""",
        },
        traffic="""\
from pipes.build import pipeline
print(pipeline(["strip", "title", "width:5x"])("  hello "))
""",
    ),
    "generator": Program(
        files={
            "logs/__init__.py": "",
            "logs/reader.py": """\
def records(lines):
    for number, line in enumerate(lines, 1):
        day, level, message = line.split(" ", 2)
        yield {"n": number, "day": day, "level": level, "message": message}

def summarise(rows):
    counts = {}
    for row in rows:
        counts[row["level"]] = counts.get(row["level"], 0) + 1
    return counts
""",
        },
        traffic="""\
from logs.reader import records, summarise
text = "2024-01-01 INFO start\\n2024-01-01 WARN\\n2024-01-02 INFO stop"
print(summarise(records(text.splitlines())))
""",
    ),
    "async-service": Program(
        files={
            "svc/__init__.py": "",
            "svc/client.py": """\
import asyncio

class Store:
    def __init__(self, rows):
        self._rows = dict(rows)

    async def get(self, key):
        await asyncio.sleep(0)
        return self._rows.get(key)

class Client:
    def __init__(self, store, retries=2):
        self.store = store
        self.retries = retries

    async def one(self, key):
        row = await self.store.get(key)
        return sorted(row["tags"])

    async def tags(self, keys):
        return await asyncio.gather(*[self.one(key) for key in keys])
""",
        },
        traffic="""\
import asyncio
from svc.client import Client, Store
async def main():
    client = Client(Store({"u1": {"name": "Ada", "tags": ["x"]}, "u2": {"name": "Bob"}}))
    print(await client.tags(["u1", "u2"]))
asyncio.run(main())
""",
    ),
    "classmethod-parse": Program(
        files={
            "units/__init__.py": "",
            "units/size.py": """\
import re

class Size:
    UNITS = {"KB": 1, "MB": 2, "GB": 3}
    _shape = re.compile(r"(\\d+)\\s*([KMG]B)?$")

    def __init__(self, number, power):
        self.number = number
        self.power = power

    @classmethod
    def parse(cls, text):
        found = cls._shape.match(text.strip())
        number, unit = found.groups()
        return cls(int(number), cls.UNITS[unit.upper()])

    def __repr__(self):
        return f"<Size {self.number}*1024**{self.power}>"
""",
        },
        traffic="""\
from units.size import Size
for text in ["10 MB", "3GB", "12"]:
    print(Size.parse(text))
""",
    ),
    "operator-vector": Program(
        files={
            "geo/__init__.py": """\
from .vec import Vec
""",
            "geo/vec.py": """\
class Vec:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __add__(self, other):
        return Vec(self.x + other.x, self.y + other.y)

    def __truediv__(self, by):
        return Vec(self.x / by, self.y / by)

def centre(points):
    total = Vec(0, 0)
    for point in points:
        total = total + point
    return total / len(points)
""",
        },
        traffic="""\
from geo.vec import Vec, centre
print(centre([Vec(1, 2), Vec(3, 4), None]))
""",
    ),
    "dunder-mapping": Program(
        files={
            "conf/__init__.py": "",
            "conf/layered.py": """\
class Layered:
    def __init__(self, *layers):
        self._layers = layers

    def __getitem__(self, path):
        for layer in reversed(self._layers):
            node = layer
            for part in path.split("."):
                if part not in node:
                    break
                node = node[part]
            else:
                return node
        raise KeyError(path)

    def __contains__(self, path):
        try:
            self[path]
        except KeyError:
            return False
        return True
""",
        },
        traffic="""\
from conf.layered import Layered
settings = Layered({"db": {"host": "h", "port": "5432"}}, {"db": None})
print(settings["db.port"], settings["db.host"])
print("debug" in settings, settings["cache.ttl"])
""",
    ),
    "file-like-csv": Program(
        files={
            "imports/__init__.py": "",
            "imports/table.py": """\
import csv

def number(text):
    return float(text.replace(",", "."))

def read_table(stream, delimiter=";"):
    rows = csv.DictReader(stream, delimiter=delimiter)
    return [{**row, "price": number(row["price"])} for row in rows]
""",
        },
        traffic="""\
import io
from imports.table import read_table
print(read_table(io.StringIO("id;name;price\\n1;tea;2,50\\n2;milk;\\n")))
""",
    ),
    "binary-parser": Program(
        files={
            "wire/__init__.py": "",
            "wire/frame.py": """\
import struct

class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        chunk = self.data[self.at : self.at + size]
        self.at += size
        return chunk

    def u16(self):
        return struct.unpack(">H", self.take(2))[0]

    def more(self):
        return self.at < len(self.data)

def decode(data):
    reader = Reader(data)
    found = []
    while reader.more():
        kind = reader.take(1)[0]
        size = reader.u16()
        body = reader.take(size)
        found.append((kind, body.decode()[: size - 1] + chr(body[size - 1])))
    return found
""",
        },
        traffic="""\
from wire.frame import decode
data = b"\\x01\\x00\\x05hello\\x02\\x00\\x09short"
print(decode(data))
""",
    ),
    "deep-self-parser": Program(
        files={
            "markup/__init__.py": """\
from markup.parse import render
""",
            "markup/parse.py": """\
from .blocks import BlockParser
from .html import Renderer

def render(text, **options):
    parser = BlockParser(Renderer(**options))
    return parser.run(text)
""",
            "markup/html.py": """\
class Renderer:
    def __init__(self, escape=True):
        self.escape = escape
    def heading(self, text, level):
        return f"<h{level}>{text}</h{level}>"
    def paragraph(self, text):
        return f"<p>{text}</p>"
    def table(self, head, align, rows):
        cells = "".join(f"<th align={align[i]}>{c}</th>" for i, c in enumerate(head))
        return f"<table>{cells}</table>"
""",
            "markup/blocks.py": """\
import re

class BlockParser:
    rules = ["heading", "table", "paragraph"]

    def __init__(self, renderer, rules=None):
        self.renderer = renderer
        self.tokens = []
        self._rules = rules or self.rules

    def run(self, text):
        out = []
        for block in re.split(r"\\n\\n+", text.strip()):
            out.append(self.block(block))
        return "\\n".join(out)

    def block(self, block):
        for rule in self._rules:
            result = getattr(self, "parse_" + rule)(block)
            if result is not None:
                self.tokens.append(rule)
                return result

    def parse_heading(self, block):
        found = re.match(r"(#+) (.*)", block)
        return found and self.renderer.heading(found[2], len(found[1]))

    def parse_table(self, block):
        if not block.startswith("|"):
            return None
        lines = [self.cells(line) for line in block.splitlines()]
        return self.renderer.table(lines[0], lines[1], lines[2:])

    def cells(self, line):
        return [cell.strip() for cell in line.strip("|").split("|")]

    def parse_paragraph(self, block):
        return self.renderer.paragraph(block)
""",
        },
        traffic="""\
from markup.parse import render
print(render("# Title\\n\\nhello *world*\\n\\n| a | b |\\n|---|\\n| 1 | 2 |\\n"))
""",
    ),
    "src-layout-relative": Program(
        files={
            "src/acme/__init__.py": "",
            "src/acme/tax/__init__.py": """\
from .rules import compute
""",
            "src/acme/tax/rules.py": """\
from importlib import resources
import json
from ..common import percent

def _table():
    return json.loads(resources.files("acme.tax").joinpath("rates.json").read_text())

def compute(request):
    rates = _table()
    rate = rates[request["country"]]
    return request["net"] + percent(request["net"], rate["standard"])
""",
            "src/acme/common.py": """\
def percent(net, rate):
    return net * rate / 100
""",
            "src/acme/tax/rates.json": '{"DE": {"standard": 19}, "FR": {"standard": 20}, "IT": {"standard": null}}',
            "pyproject.toml": """\
[project]
name="acme"
version="1"
""",
        },
        traffic="""\
from acme.tax import compute
print(compute({"country": "DE", "net": 100}), compute({"country": "FR", "net": 10, "exempt": ["books"]}))
print(compute({"country": "IT", "net": 10}))
""",
        root="src",
    ),
    "namespace-package": Program(
        files={
            "lib/corp/billing/cycle.py": """\
import datetime as dt

def next_date(day: dt.date, period: str) -> dt.date:
    if period == "monthly":
        month = day.month % 12 + 1
        return day.replace(month=month, year=day.year + (month == 1))
    return day + dt.timedelta(days=7)
""",
        },
        traffic="""\
from corp.billing.cycle import next_date
import datetime
print(next_date(datetime.date(2024, 1, 15), "monthly"))
print(next_date(datetime.date(2024, 1, 31), "monthly"))
""",
        root="lib",
    ),
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
    "closure-free": Program(
        files={
            "fmt/__init__.py": "",
            "fmt/columns.py": """\
def column(name, width, template):
    def show(row):
        return template.format(row[name]).rjust(width)
    return show
""",
        },
        traffic="""\
from fmt.columns import column
show = column("amount", 8, "{:.2f}")
print(show({"amount": 3.5}))
print(show({"amount": "n/a"}))
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
