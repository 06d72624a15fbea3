"""Code that states beside the failing line what is right there, for test_templates."""

from __future__ import annotations

JOINED = """def joined(base, steps):
    if base is None:
        return list(steps)
    return base[:-1] + steps
"""
ROWS = """def as_text(value, most):
    return str(value)[:most]


def table(heads, most):
    widths = []
    for i in range(len(heads)):
        widths.append(len(as_text(heads[i], most)))
    return [head.center(widths[i]) for i, head in enumerate(heads)]
"""
NEXT = """def pairs(lines, at):
    try:
        following = lines[at + 1]
    except IndexError:
        following = ""
    if following:
        at += 1
    return lines[at], lines[at + 1]
"""
CHOICE = """def ask(question, choices):
    if not choices:
        raise ValueError("nothing to choose from")
    return question, choices


def choose(question, options, silent):
    if silent:
        return options[0]
    return ask(question, options)
"""
PICKED = """def picked(kind, both, sound, sight):
    if kind == "both":
        yield both[-1]
    elif kind == "sound":
        if sound:
            yield sound[-1]
    elif kind == "sight":
        if sight:
            yield sight[0]
"""
CLOSED = """class Feed:
    def __init__(self):
        self.line = None

    def send(self, text):
        self.line.write(text)

    def flush(self):
        if self.line is None:
            raise ConnectionError("not open")
        self.line.flush()
"""
FETCHED = """def first(rows):
    try:
        return fetch(rows, 0)
    except ConnectionError:
        return None


def last(rows):
    try:
        return fetch(rows, -1)
    except (ConnectionError, TimeoutError):
        return None
"""
NUMBER = """def number(text, default=None):
    try:
        return int(float(text))
    except ValueError:
        return default
"""
HEIGHT = """import os


def size(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
"""
ENTITY = """def entity(name, known):
    if name in known:
        return chr(known[name])
    if name.startswith("#"):
        return chr(int(name[1:]))
    return "&" + name
"""
MOMENT = """from datetime import UTC, datetime


def moment(value):
    if value < 0:
        raise LookupError("no such moment")
    return datetime.fromtimestamp(value, UTC)
"""
OPTION = """def option(params, flag, param):
    param = params.get(param)
    return [flag, str(param)] if param is not None else []


def switch(params, flag, param):
    param = params.get(param)
    return [flag, param.lower()]
"""
HEAVY = """def lightest(graph, key, default):
    return min(weight for weight in graph.edges(key=key, default=default))


def heaviest(graph, key, default):
    best = 0
    for weight in graph.edges(key=key):
        if weight > best:
            best = weight
    return best
"""
UNIT = """def grams(text):
    if text is None:
        return None
    return int(text[:-1])


def plain(text, most):
    if text is None:
        return None
    return text[:most]


def unit(text):
    if text == "":
        return None
    return text.strip()[-1]
"""
