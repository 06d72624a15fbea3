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
}
