"""The grammars of stack traces, over a corpus: what runtimes print, what loggers make of it, what is no trace."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.cli.eval import command
from server.evaluation.traces import measure
from store.event import ExceptionValue
from triage import languages
from triage.formats.log_lines import streams
from triage.formats.traceback_text import chains

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "traces"
TEXTS = sorted(path for path in CORPUS.rglob("*") if path.suffix == ".txt")


def found(name: str) -> list[tuple[str, list[ExceptionValue]]]:
    text = (CORPUS / f"{name}.txt").read_text(encoding="utf-8")
    return [each for stream in streams(text) for each in chains(stream.text)]


@pytest.mark.parametrize("case", measure(CORPUS), ids=lambda case: case.case)
def test_every_text_of_the_corpus_is_read_as_its_label_says(case) -> None:
    assert case.labelled
    assert case.exact, case


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_a_text_is_read_by_one_language_and_never_by_two(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len({language for stream in streams(text) for language, _ in chains(stream.text)}) <= 1


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_lines_before_and_after_a_trace_change_nothing_of_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.stem == "prose" or "rawlog" in path.stem:
        pytest.skip("has no trace by itself")
    wrapped = f"listening on port 8000\n\n{text}\n\nGET /health 200 in 3 ms\nall quiet\n"
    assert chains(wrapped) == chains(text)


@pytest.mark.parametrize(
    "prefix", ["web-1  | ", "2026-11-20T10:00:00.000000000Z stderr F ", "Nov 20 10:00:00 web-1 app[312]: "]
)
def test_a_trace_survives_what_a_platform_puts_before_each_line(prefix: str) -> None:
    for name in ("java-main", "go-goroutine", "node-main", "documented/net8", "php-main", "ruby-main"):
        text = (CORPUS / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")
        wrapped = "\n".join(prefix + line for line in text.split("\n"))
        (stream,) = streams(wrapped)
        assert chains(stream.text) == chains(text)


def test_traces_of_two_containers_line_by_line_are_two_traces() -> None:
    java = (CORPUS / "java-main.txt").read_text(encoding="utf-8").rstrip().split("\n")
    ruby = (CORPUS / "ruby-main.txt").read_text(encoding="utf-8").rstrip().split("\n")
    lines = [f"shop-1  | {line}" for line in java] + [f"jobs-1  | {line}" for line in ruby]
    random.Random(4).shuffle(order := [0] * len(java) + [1] * len(ruby))  # noqa: S311 - the same order in each run
    parts = [iter(lines[: len(java)]), iter(lines[len(java) :])]
    mixed = "\n".join(next(parts[which]) for which in order)
    assert [
        (language, chain[-1].type) for stream in streams(mixed) for language, chain in chains(stream.text)
    ] in (
        [("java", "Shop$PaymentException"), ("ruby", "PaymentError")],
        [("ruby", "PaymentError"), ("java", "Shop$PaymentException")],
    )


def test_causes_come_first_and_what_was_suppressed_is_marked() -> None:
    ((_, chain),) = found("documented/java-logback")
    assert [(each.type, each.chained, each.mechanism) for each in chain] == [
        ("RuntimeException", None, "suppressed"),
        ("IOException", "cause", "suppressed"),
        ("RootException", None, None),
        ("IllegalStateException", "cause", None),
    ]


def test_members_of_an_aggregate_error_stand_before_it() -> None:
    ((_, chain),) = found("documented/node-aggregate")
    assert [(each.type, each.value) for each in chain] == [
        ("Error", "first"), ("TypeError", "second"), ("AggregateError", "All promises were rejected")
    ]  # fmt: skip
    assert chain[-1].chained == "group"


def test_php_frames_say_what_runs_at_a_place_and_not_what_is_called_there() -> None:
    ((_, chain),) = found("php-main")
    innermost = chain[0].frames[-1]
    assert (innermost.function, innermost.lineno) == ("Shop\\Cart->rate", 4)
    assert (chain[0].frames[0].function, chain[0].frames[0].lineno) == ("{main}", 7)


def test_prose_that_mentions_places_has_no_trace() -> None:
    assert found("documented/prose") == []


@pytest.mark.parametrize("language", languages.BUILT_IN, ids=lambda language: language.name)
def test_cut_and_shuffled_traces_do_no_harm(language) -> None:
    chance = random.Random(7)  # noqa: S311 - the same texts in each run
    lines = [line for path in TEXTS for line in path.read_text(encoding="utf-8").split("\n")]
    for _ in range(60):
        text = "\n".join(line[: chance.randint(0, 200)] for line in chance.sample(lines, 60))
        assert all(each.type is not None for chain in language.find_traces(text) for each in chain)


def test_a_platform_is_known_by_the_names_that_senders_use() -> None:
    names = {"node": "javascript", "kotlin": "java", "csharp": "csharp", "c": "native", "python": "python"}
    assert {name: getattr(languages.by_name(name), "name", None) for name in names} == names
    assert languages.by_name("cobol") is None


@pytest.mark.parametrize(
    ("language", "source", "line", "name"),
    [
        ("javascript", "class Cart {\n  rate(c) {\n    return c;\n  }\n}\n", 3, "Cart.rate"),
        ("javascript", "const price = async (n) => {\n  return `{${n}}`;\n};\n", 2, "price"),
        (
            "java",
            "class A {\n  // }\n  <T> void f(List<T> x) throws E {\n    if (x) {\n      y();\n    }\n  }\n}",
            5,
            "A.f",
        ),
        ("go", "func (c *Cart) Rate(s string) int {\n\tfor {\n\t}\n}\n", 2, "Rate"),
        ("rust", "impl Cart {\n    fn rate(&self) -> i32 {\n        1\n    }\n}\n", 3, "Cart::rate"),
        (
            "ruby",
            "module Shop\n  class Cart\n    def rate\n      1\n    end\n  end\nend\n",
            4,
            "Shop::Cart::rate",
        ),
        ("elixir", "defmodule Shop.Cart do\n  def rate(c) do\n    c\n  end\nend\n", 3, "Shop.Cart.rate"),
        (
            "native",
            "namespace shop {\nint Cart::rate(int c) const {\n  return c;\n}\n}\n",
            3,
            "shop::Cart::rate",
        ),
        (
            "csharp",
            "namespace Shop {\n class Cart {\n  int Rate(string c) {\n   return 1;\n  }\n }\n}\n",
            4,
            "Shop.Cart.Rate",
        ),
    ],
)
def test_a_line_of_source_is_named_by_the_definitions_around_it(
    language: str, source: str, line: int, name: str
) -> None:
    known = languages.by_name(language)
    assert known is not None
    assert known.symbol_at(source, line) == name


def test_eval_traces_prints_rates_and_every_case(tmp_path: Path) -> None:
    text = (CORPUS / "java-main.txt").read_text(encoding="utf-8")
    (tmp_path / "java-a.txt").write_text(text, encoding="utf-8")
    (tmp_path / "java-a.expected.json").write_text(
        (CORPUS / "java-main.expected.json").read_text(encoding="utf-8")
    )
    (tmp_path / "java-b.txt").write_text(text, encoding="utf-8")
    wrong = [
        {
            "type": "java.lang.NullPointerException",
            "value": "nothing",
            "frames": [{"function": "x", "lineno": 9}],
        }
    ]
    (tmp_path / "java-b.expected.json").write_text(json.dumps(wrong))
    (tmp_path / "quiet.txt").write_text("all is well\n", encoding="utf-8")
    (tmp_path / "quiet.expected.json").write_text("[]")
    (tmp_path / "new.txt").write_text(text, encoding="utf-8")
    answer = CliRunner().invoke(command, ["traces", str(tmp_path), "--json"])
    said = json.loads(answer.output)
    assert said["summary"]["n"] == 3
    assert said["summary"]["types"] == 1.0
    assert said["summary"]["values"] == pytest.approx(2 / 3, abs=1e-3)
    assert said["summary"]["exact"] == pytest.approx(2 / 3, abs=1e-3)
    assert said["summary"]["unlabelled"] == {"n": 1, "with_a_trace": 1, "languages": {"java": 1}}
    assert {case["case"]: case["exact"] for case in said["cases"]}["java-b.txt"] is False
