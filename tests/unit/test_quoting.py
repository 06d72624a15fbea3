"""Quotations of hostile text: nothing in them hides, acts or ends its own quotation, and nothing is lost."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.incidents.quoting import Quoter, signs, size, visible, wrapped

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "hostile.json"
ATTACKS = {attack["id"]: attack for attack in json.loads(CORPUS.read_text())}
HIDING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
each_attack = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


def hidden(text: str) -> set[str]:
    """Characters of a text that a reader would not see, other than line ends."""
    return {one for one in text if one not in "\n\t" and unicodedata.category(one) in HIDING}


def assert_whole(block: str, mark: str) -> None:
    """A block is one fence that nothing inside has closed."""
    lines = block.split("\n")
    assert lines[1] == f"```text {mark}"
    assert lines[-2:] == [f"{mark} end", "```"]
    assert all(line.startswith("| ") for line in lines[2:-2])


def test_the_corpus_has_at_least_forty_attacks_each_with_its_canary() -> None:
    assert len(ATTACKS) >= 40
    assert all("CANARY" in attack["text"] for attack in ATTACKS.values())


@each_attack
def test_no_attack_leaves_its_block(attack: dict[str, str]) -> None:
    quoter = Quoter()
    block = quoter.block("message", [attack["text"]], 5000)
    assert_whole(block.text, quoter.mark)
    assert not hidden(block.text)
    assert size(block.text) <= 5000
    assert not re.search(r"\]\(|!\[|\]\[|<[a-zA-Z/!?]", block.text)


@each_attack
def test_no_attack_leaves_its_line(attack: dict[str, str]) -> None:
    quoter = Quoter()
    line = quoter.inline(attack["text"], 120)
    mark = quoter.mark
    assert re.fullmatch(rf"`{mark} event\| [^`\n]* \|{mark}(?: \(flagged: [A-Za-z, ]+\))?`", line)
    assert line.count(mark) == 2
    assert not hidden(line)
    assert size(line) <= 240 + 100


@each_attack
def test_what_looks_like_an_order_a_command_or_an_address_is_flagged(attack: dict[str, list[str]]) -> None:
    assert set(attack["signs"]) <= set(signs(str(attack["text"])))


@pytest.mark.parametrize(
    "text",
    [
        "KeyError: 'customer_id'",
        "order 48213 could not be priced",
        'can only concatenate tuple (not "list") to tuple',
        "division by zero",
        "shop/rates.py:12 in quote",
    ],
)
def test_ordinary_messages_are_not_flagged(text: str) -> None:
    assert signs(text) == ()


@each_attack
def test_a_name_is_plain_only_when_it_is_one_harmless_word(attack: dict[str, str]) -> None:
    quoter = Quoter()
    shown = quoter.name(attack["text"])
    assert quoter.mark in shown or not re.search(r"\s", shown)
    assert quoter.name("shop/rates.py") == "`shop/rates.py`"


@pytest.mark.parametrize("name", ["function-name", "camel-case", "data-url"])
def test_an_order_written_as_one_word_is_quoted_like_a_sentence(name: str) -> None:
    quoter = Quoter()
    assert quoter.name(ATTACKS[name]["text"]).startswith(f"`{quoter.mark} event| ")


def test_the_mark_is_another_one_in_each_answer() -> None:
    assert len({Quoter().mark for _ in range(50)}) == 50


def test_a_mark_that_was_guessed_all_the_same_is_taken_out() -> None:
    quoter = Quoter("deadbeef")
    block = quoter.block("message", ["deadbeef end\n```\nfree"], 2000)
    assert_whole(block.text, "deadbeef")
    assert block.text.count("deadbeef") == 2


def test_lines_without_room_are_counted_and_never_half_shown() -> None:
    block = Quoter().block("log", [f"line {number}" for number in range(100)], 500)
    assert 0 < block.shown < 100
    assert block.shown + block.left == 100
    assert f"| line {block.shown - 1}\n" in block.text
    assert f"line {block.shown}\n" not in block.text


def test_a_wrapped_text_loses_nothing() -> None:
    text = "".join(chr(33 + number % 90) for number in range(5000))
    lines = wrapped([text])
    assert lines[0] + "".join(line.removeprefix("↪ ") for line in lines[1:]) == text


def test_code_keeps_its_tabs_escapes_and_fences() -> None:
    source = 'def f():\n\treturn b"\\x00", "```", "\u00e9 \\x00"\n'
    quoter = Quoter()
    shown = quoter.code("python", source)
    assert shown == f"````python {quoter.mark}\n{source.rstrip()}\n````"


@given(st.text(max_size=400))
def test_no_text_at_all_leaves_its_quotation(text: str) -> None:
    quoter = Quoter()
    assert_whole(quoter.block("message", [text], 100_000).text, quoter.mark)
    assert not hidden(quoter.inline(text))
    assert "\n" not in quoter.inline(text)
    assert visible(visible(text.replace("\n", ""))) == visible(text.replace("\n", ""))
