"""Classes of a small application, one of each sort that a capsule brings back."""

import enum
from collections import namedtuple
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import BaseModel


class Color(enum.Enum):
    RED = "red"
    GREEN = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Line:
    sku: object
    quantity: object = 1
    notes: list = field(default_factory=list)


@dataclass(frozen=True)
class Price:
    amount: object
    currency: str = "EUR"


class Slotted:
    __slots__ = ("left", "right", "unset")

    def __init__(self, left, right):
        self.left, self.right = left, right

    def __eq__(self, other):
        return type(self) is type(other) and (self.left, self.right) == (other.left, other.right)

    __hash__ = None


class Plain:
    def __init__(self, *, needs):
        self.kept = needs
        self._hidden = [needs]

    def __eq__(self, other):
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None


class Basket(list):
    owner = None


class Headers(dict):
    pass


class Name(str):
    pass


class Node:
    def __init__(self, name):
        self.name, self.parent, self.children = name, None, []

    def add(self, child):
        child.parent = self
        self.children.append(child)
        return self


class Refused(ValueError):
    def __init__(self, message, code):
        super().__init__(message, code)
        self.code = code


Point = namedtuple("Point", "x y")


class Reading(NamedTuple):
    at: object
    value: object


class Order(BaseModel):
    number: int
    lines: list = []


class Guarded:
    """A constructor that must not run again, and attributes that must not be asked."""

    def __init__(self):
        self.value = 3

    @property
    def dangerous(self):
        raise RuntimeError("a property was asked")

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)


def given(value):
    return value


class Cached:
    """As libraries keep what a property has found: under its own name."""

    @property
    def total(self):
        return self.__dict__.setdefault("total", 7)
