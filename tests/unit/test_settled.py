"""A process that serves looks through young objects less often, and still finds what is garbage."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from server.operating.memory import YOUNG, settle


@pytest.fixture
def as_before() -> Iterator[None]:
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


class Ring:
    """Something that only a collection takes away."""

    def __init__(self) -> None:
        self.own = self


@pytest.mark.usefixtures("as_before")
def test_what_becomes_garbage_after_settling_is_found_by_itself() -> None:
    settle()
    gone = weakref.ref(Ring())
    made = [[number] for number in range(2 * YOUNG)]
    assert len(made) == 2 * YOUNG
    assert gone() is None
    assert gc.get_threshold()[0] == YOUNG
