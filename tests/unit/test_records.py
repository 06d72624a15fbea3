"""Named tuples that an event shows as lists are made where a call has said what the lists lack."""

from __future__ import annotations

from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.records import as_records, lacked
from fixloop.running.runner import Outcome, Raised

STORY = "from typing import NamedTuple\n\n\nclass Story(NamedTuple):\n    title: str\n    rank: int = 0\n"


def raised(kind: str, message: str) -> Outcome:
    return Outcome("raised", exception=Raised(kind, "builtins", message, ()))


def test_the_name_that_a_list_was_asked_for_is_read_from_the_error() -> None:
    assert lacked(raised("AttributeError", "'list' object has no attribute 'rank'")) == "rank"
    assert lacked(raised("AttributeError", "'Story' object has no attribute 'rank'")) is None
    assert lacked(raised("TypeError", "'list' object has no attribute 'rank'")) is None
    assert lacked(None) is None


def test_lists_of_the_length_of_a_named_tuple_that_has_the_name_become_such_tuples() -> None:
    catalogue = Catalogue(lambda: {"news": STORY})
    inputs = {"args": [[["a", 1], ["b", 2]], ["x"]], "kwargs": {"last": ["c", 3]}}
    recipe = Recipe(entry="frame", repo="app", target={"module": "news"}, inputs=inputs)
    (made,) = as_records(recipe, "rank", catalogue)
    story = {"$call": "news.Story", "args": ["a", 1], "kwargs": {}}
    assert made.inputs["args"] == [[story, {**story, "args": ["b", 2]}], ["x"]]
    assert made.inputs["kwargs"] == {"last": {**story, "args": ["c", 3]}}
    assert made.guessed == ("lists of 2 are each a Story, of which the event shows lists",)
    assert list(as_records(recipe, "price", catalogue)) == []
