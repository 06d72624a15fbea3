"""What a programming language promises (`triage.Language`)."""

from __future__ import annotations

import pytest

from triage import Language

HOSTILE = ("", "\x00" * 100, "Traceback " * 2000, "  File " * 2000, "at (" * 2000, "\ud800", "(" * 10_000)


class LanguageContract:
    """Give `part`; `trace` (log text with one trace in it); `raised` (the type of the exception raised last, as the
    trace says it); `source` (a file of the language with at least one definition) and `inside` (a line, from 1, that is
    in that definition)."""

    @pytest.fixture
    def part(self) -> Language:
        raise NotImplementedError

    @pytest.fixture
    def trace(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def raised(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def source(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def inside(self) -> int:
        raise NotImplementedError

    def test_a_trace_in_log_text_is_found_with_its_frames_oldest_first(
        self, part: Language, trace: str, raised: str
    ) -> None:
        found = part.find_traces(f"2026-11-21 09:30:00 starting\n{trace}\nand on it goes\n")
        assert len(found) == 1
        assert found[0][-1].type == raised
        assert found[0][-1].frames
        assert all(frame.filename or frame.abs_path for frame in found[0][-1].frames)

    def test_two_traces_are_two_and_text_without_one_has_none(self, part: Language, trace: str) -> None:
        assert len(part.find_traces(f"{trace}\nnext\n{trace}\n")) == 2
        assert part.find_traces("all is well\nnothing crashed here\n") == []

    @pytest.mark.parametrize("number", range(len(HOSTILE)))
    def test_hostile_text_has_no_trace_and_does_no_harm(self, part: Language, number: int) -> None:
        assert part.find_traces(HOSTILE[number]) == []

    def test_it_says_of_any_path_whether_it_is_the_teams(self, part: Language) -> None:
        assert [type(part.in_app(path)) for path in ("", "/app/shop/cart.py", "C:\\app\\x", "\x00")] == [
            bool
        ] * 4

    def test_a_line_belongs_to_a_definition_or_to_none(
        self, part: Language, source: str, inside: int
    ) -> None:
        assert part.symbol_at(source, inside)
        assert part.symbol_at(source, 10**9) is None
        assert part.symbol_at("", 1) is None

    def test_source_that_does_not_parse_does_no_harm(self, part: Language, source: str, inside: int) -> None:
        said = [part.symbol_at(source[:-3] + broken, inside) for broken in ("((((", "\x00", '"""', "\ud800")]
        assert all(symbol is None or isinstance(symbol, str) for symbol in said)
