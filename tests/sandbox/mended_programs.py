"""Small programs that crash, each with what its authors made of it afterwards: a test that is written of the crash has to
pass there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.sandbox.crash_programs import Program


@dataclass(frozen=True)
class Mended:
    """A program, the line that is wrong, and what stands there after the fix."""

    program: Program
    wrong: str
    right: str

    @property
    def path(self) -> str:
        """The file with the wrong line."""
        return next(path for path, text in self.program.files.items() if self.wrong in text)

    @property
    def fixed(self) -> dict[str, str]:
        """The file as it is after the fix."""
        return {self.path: self.program.files[self.path].replace(self.wrong, self.right)}


def mended(path: str, text: str, traffic: str, wrong: str, right: str) -> Mended:
    """A program of one module in a package."""
    files = {f"{path.partition('/')[0]}/__init__.py": "", path: text}
    return Mended(Program(files=files, traffic=traffic), wrong, right)


MENDED: Mapping[str, Mended] = {
    "nested-class": mended(
        "stock/report.py",
        """\
class Report:
    class Row:
        def __init__(self, name, amounts):
            self.name = name
            self.amounts = amounts

        def average(self):
            return sum(self.amounts) / len(self.amounts)

    def __init__(self, title):
        self.title = title
        self.rows = []

    def add(self, name, amounts):
        self.rows.append(Report.Row(name, amounts))

    def text(self):
        return "\\n".join(f"{row.name}: {row.average():.1f}" for row in self.rows)


def build(title, table):
    report = Report(title)
    for name, amounts in table.items():
        report.add(name, amounts)
    return report.text()
""",
        """\
from stock.report import Report

report = Report("march")
for name, amounts in {"oak": [3, 4], "elm": []}.items():
    report.add(name, amounts)
    print(report.text())
""",
        "return sum(self.amounts) / len(self.amounts)",
        "return sum(self.amounts) / max(1, len(self.amounts))",
    ),
    "context-manager": mended(
        "ledger/session.py",
        """\
class Session:
    def __init__(self, account, limit=None):
        self.account = account
        self.limit = limit
        self.entries = []

    def __enter__(self):
        self.entries = []
        return self

    def post(self, amount, note=None):
        self.entries.append((amount, note))

    def __exit__(self, kind, error, trace):
        if kind is None:
            self.summary = ", ".join(f"{amount}:{note.strip()}" for amount, note in self.entries)


def book(account, entries):
    with Session(account) as session:
        for amount, note in entries:
            session.post(amount, note)
    return session.summary
""",
        """\
from ledger.session import book
print(book("a1", [(3, "tea ")]))
print(book("a2", [(3, "tea "), (4, None)]))
""",
        "{note.strip()}",
        "{(note or '').strip()}",
    ),
    "single-dispatch": mended(
        "render/nodes.py",
        """\
import functools

@functools.singledispatch
def show(node, indent=0):
    return " " * indent + str(node)

@show.register(dict)
def _(node, indent=0):
    width = max(len(key) for key in node)
    return "\\n".join(" " * indent + key.ljust(width) + " " + show(value) for key, value in node.items())

@show.register(list)
def _(node, indent=0):
    return "\\n".join(show(item, indent + 2) for item in node)
""",
        """\
from render.nodes import show
print(show([{"a": 1}, 3]))
print(show([{"a": 1}, {}]))
""",
        "max(len(key) for key in node)",
        "max((len(key) for key in node), default=0)",
    ),
    "event-bus": mended(
        "bus/core.py",
        """\
class Bus:
    def __init__(self):
        self.handlers = {}

    def on(self, name, handler):
        self.handlers.setdefault(name, []).append(handler)

    def emit(self, name, payload):
        return [handler(payload) for handler in self.handlers.get(name, [])]


def welcome(payload):
    return "Hello " + payload["user"]["name"].title()


bus = Bus()
bus.on("joined", welcome)
""",
        """\
from bus.core import bus
print(bus.emit("joined", {"user": {"name": "ann"}}))
print(bus.emit("joined", {"user": {"name": None}}))
""",
        'payload["user"]["name"].title()',
        '(payload["user"]["name"] or "guest").title()',
    ),
    "cached-property": mended(
        "billing/invoice.py",
        """\
from functools import cached_property


class Line:
    def __init__(self, sku, quantity, price):
        self.sku, self.quantity, self.price = sku, quantity, price

    def __repr__(self):
        return f"Line({self.sku!r}, {self.quantity!r}, {self.price!r})"


class Invoice:
    def __init__(self, number, lines):
        self.number = number
        self.lines = lines

    @cached_property
    def total(self):
        lines = self.lines
        return sum(line.quantity * line.price for line in lines)

    def text(self):
        return f"{self.number}: {self.total}"
""",
        """\
from billing.invoice import Invoice, Line
print(Invoice("R1", [Line("a", 2, 3)]).text())
print(Invoice("R2", [Line("a", 2, 3), Line("b", 1, None)]).text())
""",
        "line.quantity * line.price for line",
        "line.quantity * (line.price or 0) for line",
    ),
    "async-rows": mended(
        "pool/rows.py",
        """\
class Pool:
    def __init__(self, rows, size=2):
        self._rows = rows
        self._size = size
        self.open = False

    async def __aenter__(self):
        self.open = True
        return self

    async def __aexit__(self, *error):
        self.open = False

    async def pages(self):
        for start in range(0, len(self._rows), self._size):
            yield self._rows[start : start + self._size]


async def names(rows):
    found = []
    async with Pool(rows) as pool:
        async for page in pool.pages():
            found += [row["name"].upper() for row in page]
    return found
""",
        """\
import asyncio
from pool.rows import names
print(asyncio.run(names([{"name": "a"}, {"name": "b"}, {"name": "c"}])))
print(asyncio.run(names([{"name": "a"}, {"name": "b"}, {"id": 3}])))
""",
        'row["name"].upper() for row',
        'row.get("name", "").upper() for row',
    ),
    "descriptor": mended(
        "forms/fields.py",
        """\
class Whole:
    def __init__(self, minimum=0):
        self.minimum = minimum

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, obj, kind=None):
        return self if obj is None else obj.__dict__[self.name]

    def __set__(self, obj, value):
        obj.__dict__[self.name] = max(self.minimum, int(value))


class Order:
    amount = Whole(1)

    def __init__(self, **values):
        for name, value in values.items():
            setattr(self, name, value)
""",
        """\
from forms.fields import Order
print(Order(amount="3").amount)
print(Order(amount=None, note="x").amount)
""",
        "int(value))",
        "int(value or 0))",
    ),
    "mapping-subclass": mended(
        "conf/settings.py",
        """\
class Settings(dict):
    def __init__(self, values, parent=None):
        super().__init__(values)
        self.parent = parent

    def __missing__(self, key):
        return self.parent[key]

    def path(self, key):
        return self[key].rstrip("/")
""",
        """\
from conf.settings import Settings
base = Settings({"root": "/srv/"})
print(Settings({"name": "x"}, base).path("root"))
print(Settings({"name": "x"}).path("root"))
""",
        "return self.parent[key]",
        "return self.parent[key] if self.parent is not None else ''",
    ),
    "compiled-template": mended(
        "tpl/engine.py",
        """\
import re

_PART = re.compile(r"{{(.+?)}}")


class Template:
    def __init__(self, text, name="<template>"):
        self.text = text
        self.name = name
        self._code = compile(self._generate(), name, "exec")

    def _generate(self):
        parts = _PART.split(self.text)
        body = [f"    yield {part!r}" if at % 2 == 0 else f"    yield show({part.strip()})" for at, part in enumerate(parts)]
        return "def root(context, show):\\n    globals().update(context)\\n" + "\\n".join(body)

    def render(self, **context):
        space = {}
        exec(self._code, space)
        return "".join(space["root"](context, show))


def show(value):
    return value.strip()
""",
        """\
from tpl.engine import Template
print(Template("Dear {{ name }}!").render(name="Ann "))
print(Template("Dear {{ name }}, {{ count }} things").render(name="Ann ", count=3))
""",
        "return value.strip()",
        "return str(value).strip()",
    ),
    "registry": mended(
        "shapes/kinds.py",
        """\
class Shape:
    kinds = {}

    def __init_subclass__(cls, **more):
        super().__init_subclass__(**more)
        Shape.kinds[cls.__name__.lower()] = cls

    @classmethod
    def of(cls, row):
        return cls.kinds[row["kind"]](**{key: value for key, value in row.items() if key != "kind"})


class Circle(Shape):
    def __init__(self, radius):
        self.radius = radius

    def area(self):
        return 3 * self.radius ** 2


class Box(Shape):
    def __init__(self, width, height=None):
        self.width = width
        self.height = height

    def area(self):
        return self.width * self.height


def areas(rows):
    return [shape.area() for shape in map(Shape.of, rows)]
""",
        """\
from shapes.kinds import Shape, areas
print(areas([{"kind": "circle", "radius": 2}]))
for shape in map(Shape.of, [{"kind": "box", "width": 2, "height": 3}, {"kind": "box", "width": 4}]):
    print(shape.area())
""",
        "return self.width * self.height",
        "return self.width * (self.width if self.height is None else self.height)",
    ),
    "generator-pipeline": mended(
        "logs/pipe.py",
        """\
def parsed(lines):
    for line in lines:
        name, _, value = line.partition("=")
        yield name, value


def totals(pairs):
    found = {}
    for name, value in pairs:
        found[name] = found.get(name, 0) + int(value)
    return found
""",
        """\
from logs.pipe import parsed, totals
print(totals(parsed(["a=1", "a=2"])))
print(totals(parsed(["a=1", "b="])))
""",
        "int(value)",
        "int(value or 0)",
    ),
    "closure-of-a-method": mended(
        "rules/checks.py",
        """\
class Rules:
    def __init__(self, minimum, maximum):
        self.minimum = minimum
        self.maximum = maximum

    def checker(self, unit):
        def check(value):
            number = value.removesuffix(unit)
            return self.minimum <= float(number) <= self.maximum

        return check
""",
        """\
from rules.checks import Rules
check = Rules(1, 10).checker("kg")
print(check("3kg"))
print(check("kg"))
""",
        "float(number) <=",
        "float(number or 0) <=",
    ),
    "cached-function": mended(
        "geo/codes.py",
        """\
from functools import lru_cache

NAMES = {"at": "Austria", "de": "Germany"}


@lru_cache(maxsize=100)
def country(code, default=None):
    name = NAMES.get(code.lower(), default)
    return name.upper()
""",
        """\
from geo.codes import country
print(country("AT"))
print(country("xx"))
""",
        "return name.upper()",
        'return (name or "").upper()',
    ),
    "linked-nodes": mended(
        "chain/nodes.py",
        """\
class Node:
    def __init__(self, value, following=None):
        self.value = value
        self.following = following


class Chain:
    def __init__(self, values=()):
        self.first = None
        for value in reversed(values):
            self.first = Node(value, self.first)

    def last(self):
        node = self.first
        while node.following is not None:
            node = node.following
        return node.value


def closing(values):
    return Chain(values).last()
""",
        """\
from chain.nodes import Chain
print(Chain([1, 2]).last())
print(Chain([]).last())
""",
        "        node = self.first\n        while",
        "        node = self.first or Node(None)\n        while",
    ),
    "match-callback": mended(
        "markup/links.py",
        """\
import re

_LINK = re.compile(r"\\[(?P<text>[^]]*)\\](?:\\((?P<target>[^)]*)\\))?")


class Linker:
    def __init__(self, root):
        self.root = root

    def _replace(self, match):
        target = match.group("target")
        return f'<a href="{self.root}{target.lstrip("/")}">{match.group("text")}</a>'

    def convert(self, text):
        return _LINK.sub(self._replace, text)
""",
        """\
from markup.links import Linker
print(Linker("/docs/").convert("see [this](/a)"))
print(Linker("/docs/").convert("see [that] now"))
""",
        'target = match.group("target")',
        'target = match.group("target") or ""',
    ),
    "sort-key": mended(
        "shelf/order.py",
        """\
class Shelf:
    def __init__(self, books):
        self.books = books

    def _key(self, book):
        return book["author"].split()[-1], book.get("year", 0)

    def ordered(self):
        return sorted(self.books, key=self._key)


def titles(books):
    return [book["title"] for book in Shelf(books).ordered()]
""",
        """\
from shelf.order import titles
print(titles([{"author": "A B", "title": "x"}]))
print(titles([{"author": "A B", "title": "x"}, {"author": "", "title": "y"}]))
""",
        'book["author"].split()[-1]',
        '(book["author"].split() or [""])[-1]',
    ),
    "enum-method": mended(
        "units/weights.py",
        """\
from enum import Enum


class Unit(Enum):
    KG = "kg"
    GRAM = "g"
    OUNCE = "oz"

    def grams(self, amount):
        return amount * {"kg": 1000, "g": 1}[self.value]


def total(rows):
    return sum(Unit(unit).grams(amount) for amount, unit in rows)
""",
        """\
from units.weights import Unit
print(Unit.KG.grams(2))
print(Unit.OUNCE.grams(2))
""",
        '{"kg": 1000, "g": 1}',
        '{"kg": 1000, "g": 1, "oz": 28.35}',
    ),
    "positional-repr": mended(
        "lex/scan.py",
        """\
class Scanner:
    def __init__(self, text, at=0):
        self.text = text
        self.at = at

    def __repr__(self):
        return f"<Scanner at {self.at} of {self.text!r}>"

    def take(self, size):
        part = self.text[self.at : self.at + size]
        self.at += size
        return part

    def number(self):
        size = int(self.take(1))
        return int(self.take(size))


def numbers(text, count):
    scanner = Scanner(text)
    return [scanner.number() for _ in range(count)]
""",
        """\
from lex.scan import Scanner
scanner = Scanner("212345")
print(scanner.number())
print(scanner.number())
print(scanner.number())
""",
        "size = int(self.take(1))\n        return int(self.take(size))",
        "size = int(self.take(1) or 0)\n        return int(self.take(size) or 0)",
    ),
}
