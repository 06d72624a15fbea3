"""What a wire format promises (`triage.Format`)."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from store.errors import BadPayload
from store.event import Event
from triage import Format

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
NOT_EVENTS = (
    b"",
    b"\x00\x01\xff\xfe",
    b"GIF89a",
    b"[" * 5000,
    b'{"a":' * 5000,
    b"{}",
    b"null",
    b"\xff" * 100,
)


class FormatContract:
    """Give `part` (the format) and `sample` (a body in it, with at least one event)."""

    @pytest.fixture
    def part(self) -> Format:
        raise NotImplementedError

    @pytest.fixture
    def sample(self) -> bytes:
        raise NotImplementedError

    def test_its_name_is_short_and_plain(self, part: Format) -> None:
        assert part.name.replace("_", "").isalnum()
        assert part.name == part.name.lower()
        assert len(part.name) <= 24

    def test_it_recognises_its_own_and_nothing_that_is_no_event(self, part: Format, sample: bytes) -> None:
        assert part.recognises(sample, {})
        assert not any(part.recognises(body, {}) for body in NOT_EVENTS)

    def test_events_carry_the_project_and_aware_times_oldest_first(self, part: Format, sample: bytes) -> None:
        events = part.parse(sample, {}, project="shop", received_at=NOW)
        assert events
        assert {event.project for event in events} == {"shop"}
        assert all(event.timestamp.tzinfo is not None and event.received_at == NOW for event in events)
        assert [event.timestamp for event in events] == sorted(event.timestamp for event in events)
        assert len({event.event_id for event in events}) == len(events)

    def test_the_same_body_gives_the_same_exceptions(self, part: Format, sample: bytes) -> None:
        first, second = (part.parse(sample, {}, project="shop", received_at=NOW) for _ in range(2))
        assert [event.exceptions for event in first] == [event.exceptions for event in second]

    @pytest.mark.parametrize("number", range(len(NOT_EVENTS)))
    def test_a_body_that_is_no_event_is_a_bad_payload_and_nothing_worse(
        self, part: Format, number: int
    ) -> None:
        assert isinstance(answer(part, NOT_EVENTS[number]), str | list)

    def test_a_spoiled_body_is_read_or_refused_and_nothing_worse(self, part: Format, sample: bytes) -> None:
        chance = random.Random(1)  # noqa: S311 - the same spoiled bodies in each run
        for _ in range(200):
            body = bytearray(sample)
            for _ in range(chance.randint(1, 8)):
                body[chance.randrange(len(body))] = chance.randrange(256)
            body = body[: chance.randint(1, len(body))] if chance.random() < 0.5 else body
            assert isinstance(answer(part, bytes(body)), str | list)


def answer(part: Format, body: bytes) -> list[Event] | str:
    """The events, or the sentence with which the body is refused; any other exception goes through."""
    try:
        return part.parse(body, {}, project="shop", received_at=NOW)
    except BadPayload as error:
        return str(error)
