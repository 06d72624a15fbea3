"""The built-in parts, held to the suites that authors of plug-ins get."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from fixloop import Forge, Sandbox
from fixloop.fixers import FixCase, Fixer
from fixloop.fixers.upstream import UpstreamFixer
from server.ingest.vendor_doors import HOOKS as HOOK_FORMATS
from server.plugins import PROTOCOLS, missing
from store.repair import DraftPullRequest
from tests.contracts.nightdesk_contracts.classifiers import ClassifierContract
from tests.contracts.nightdesk_contracts.fixers import FixerContract
from tests.contracts.nightdesk_contracts.forges import ForgeContract
from tests.contracts.nightdesk_contracts.formats import FormatContract
from tests.contracts.nightdesk_contracts.languages import LanguageContract
from tests.contracts.nightdesk_contracts.sandboxes import SandboxContract
from tests.forges.fake import Fake, FakeGitHub, FakeGitLab, serving
from tests.journeys.test_senders import HOOKS
from tests.sandbox.histories import History, write
from tests.sandbox.test_fixers import BASKET, fix_case
from tests.sandbox.test_upstream import upgrade_case
from triage import Classifier, Format, Language

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
SAMPLES = {
    "sentry": (CORPUS / "events" / "flask-type-error.json").read_bytes(),
    "json": b'{"traceback": "Traceback (most recent call last):\\n  File \\"a.py\\", line 1, in f\\n    x\\nKeyError: 1"}',
    "traceback": (CORPUS / "traces" / "python-main.txt").read_bytes(),
    "otlp": (CORPUS / "senders" / "0073-traces.otlp.json").read_bytes(),
    "rollbar": (CORPUS / "senders" / "0077-item.json").read_bytes(),
    "bugsnag": (CORPUS / "senders" / "0079-notify.json").read_bytes(),
    "honeybadger": (CORPUS / "senders" / "0080-notices.json").read_bytes(),
    **{name: json.dumps(HOOKS[source][0]).encode() for source, name in HOOK_FORMATS.items()},
}
LANGUAGES = {  # a trace, the type raised last, source with a definition, a line inside of it
    "python": (
        'Traceback (most recent call last):\n  File "/app/cart.py", line 3, in price\n    return 1 / n\n'
        "ZeroDivisionError: division by zero",
        "ZeroDivisionError",
        "def price(n):\n    return 1 / n\n",
        2,
    ),
    "javascript": (
        "TypeError: n is not a function\n    at price (/app/cart.js:2:10)\n    at Object.<anonymous> (/app/cart.js:5:1)",
        "TypeError",
        "function price(n) {\n  return n();\n}\n",
        2,
    ),
    "java": (
        'Exception in thread "main" java.lang.ArithmeticException: / by zero\n\tat shop.Cart.price(Cart.java:3)',
        "ArithmeticException",
        "class Cart {\n  int price(int n) {\n    return 1 / n;\n  }\n}\n",
        3,
    ),
    "go": (
        "panic: runtime error: integer divide by zero\n\ngoroutine 1 [running]:\nmain.price(...)\n\t/app/cart.go:3\n"
        "main.main()\n\t/app/cart.go:7 +0x1d",
        "panic",
        "package main\n\nfunc price(n int) int {\n\treturn 1 / n\n}\n",
        4,
    ),
    "ruby": (
        "cart.rb:2:in `/': divided by 0 (ZeroDivisionError)\n\tfrom cart.rb:2:in `price'\n\tfrom cart.rb:5:in `<main>'",
        "ZeroDivisionError",
        "def price(n)\n  1 / n\nend\n",
        2,
    ),
    "php": (
        "PHP Fatal error:  Uncaught DivisionByZeroError: Division by zero in /app/cart.php:3\nStack trace:\n"
        "#0 /app/cart.php(6): price()\n#1 {main}\n  thrown in /app/cart.php on line 3",
        "DivisionByZeroError",
        "<?php\nfunction price($n) {\n  return intdiv(1, $n);\n}\n",
        3,
    ),
    "csharp": (
        "Unhandled exception. System.DivideByZeroException: Attempted to divide by zero.\n"
        "   at Shop.Cart.Price(Int32 n) in /app/Cart.cs:line 3",
        "System.DivideByZeroException",
        "class Cart {\n  int Price(int n) {\n    return 1 / n;\n  }\n}\n",
        3,
    ),
    "rust": (
        "thread 'main' panicked at src/cart.rs:2:5:\nattempt to divide by zero\n"
        "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
        "panic",
        "fn price(n: i32) -> i32 {\n    1 / n\n}\n",
        2,
    ),
    "elixir": (
        "** (ArithmeticError) bad argument in arithmetic expression\n    cart.exs:3: Cart.price/1",
        "ArithmeticError",
        "defmodule Cart do\n  def price(n) do\n    1 / n\n  end\nend\n",
        3,
    ),
    "perl": (
        "Illegal division by zero at /app/cart.pl line 3.\n\tmain::price(0) called at /app/cart.pl line 6",
        "die",
        "sub price {\n  return 1 / $_[0];\n}\n",
        2,
    ),
    "native": (
        "cart: cart.c:3: price: Assertion `n != 0' failed.",
        "Assertion",
        "int price(int n) {\n  return 1 / n;\n}\n",
        2,
    ),
    "swift": (
        "cart/main.swift:2: Fatal error: Division by zero",
        "Fatal error",
        "func price(_ n: Int) -> Int {\n  return 1 / n\n}\n",
        2,
    ),
    "dart": (
        "Unhandled exception:\nIntegerDivisionByZeroException\n#0      price (file:///app/cart.dart:2:5)\n"
        "#1      main (file:///app/cart.dart:5:3)",
        "IntegerDivisionByZeroException",
        "int price(int n) {\n  return 1 ~/ n;\n}\n",
        2,
    ),
}


def every(group: str) -> list[object]:
    """The built-in parts of a group, as they are registered: their names are the ids."""
    own = [
        point
        for point in entry_points(group=f"nightdesk.{group}")
        if point.dist and point.dist.name == "nightdesk"
    ]
    return [pytest.param(point.load(), id=point.name) for point in own]


@pytest.mark.parametrize("group", PROTOCOLS)
def test_each_group_has_built_in_parts_that_have_all_of_the_protocol(group: str) -> None:
    for parameter in every(group):
        kind = parameter.values[0]  # type: ignore[attr-defined]
        assert missing(kind if group == "forges" else kind(), PROTOCOLS[group]) == []
    assert every(group)


@pytest.mark.parametrize("kind", every("formats"))
class TestFormats(FormatContract):
    @pytest.fixture
    def part(self, kind: Callable[[], Format]) -> Format:
        return kind()

    @pytest.fixture
    def sample(self, part: Format) -> bytes:
        return SAMPLES[part.name]


@pytest.mark.parametrize("kind", every("languages"))
class TestLanguages(LanguageContract):
    @pytest.fixture
    def part(self, kind: Callable[[], Language]) -> Language:
        return kind()

    @pytest.fixture
    def trace(self, part: Language) -> str:
        return LANGUAGES[part.name][0]

    @pytest.fixture
    def raised(self, part: Language) -> str:
        return LANGUAGES[part.name][1]

    @pytest.fixture
    def source(self, part: Language) -> str:
        return LANGUAGES[part.name][2]

    @pytest.fixture
    def inside(self, part: Language) -> int:
        return LANGUAGES[part.name][3]


@pytest.mark.parametrize("kind", every("classifiers"))
class TestClassifiers(ClassifierContract):
    @pytest.fixture
    def part(self, kind: Callable[[], Classifier]) -> Classifier:
        return kind()


@pytest.mark.sandbox
@pytest.mark.parametrize("kind", every("sandboxes"))
class TestSandboxes(SandboxContract):
    @pytest.fixture
    def part(self, kind: Callable[[], Sandbox]) -> Sandbox:
        made = kind()
        tested = made.self_test()
        if not tested.ok:
            pytest.skip(tested.said)
        return made


@pytest.mark.sandbox
@pytest.mark.slow
@pytest.mark.parametrize("kind", every("fixers"))
class TestFixers(FixerContract):
    @pytest.fixture
    def part(self, kind: Callable[[], Fixer]) -> Fixer:
        return kind()

    @pytest.fixture
    def case(self, kind: Callable[[], Fixer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FixCase:
        if kind is UpstreamFixer:
            return upgrade_case(tmp_path, monkeypatch)
        before = BASKET.replace('return line["qty"]\n', 'return line.get("qty", 1)\n')
        return fix_case(tmp_path, BASKET, before, "app/basket.py",
                        "KeyError", "'qty'", "pieces", 'return line["qty"]', {"line": {"grams": "5"}})  # fmt: skip


@pytest.mark.parametrize("kind", every("forges"))
class TestForges(ForgeContract):
    @pytest.fixture
    def origin(self, tmp_path: Path) -> Path:
        files = {"app.py": "answer = 41\n", "run.sh": "#!/bin/sh\n", "old.py": "x = 1\n"}
        write(tmp_path / "origin", History("app", [("Start", "2024-01-01", files)]))
        return tmp_path / "origin"

    @pytest.fixture
    def address(self, kind: type[Forge], origin: Path) -> str:
        known = {"github": "git@github.com:team/shop.git", "gitlab": "https://gitlab.com/team/sub/shop"}
        return known.get(kind.name, str(origin))

    @pytest.fixture
    def part(
        self, kind: Callable[[str], Forge], origin: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[Forge]:
        fakes: dict[str, type[Fake]] = {"github": FakeGitHub, "gitlab": FakeGitLab}
        if kind.name not in fakes:  # type: ignore[attr-defined]
            yield kind(str(origin))
            return
        for name in ("GITHUB", "GITLAB"):
            monkeypatch.setenv(f"NIGHTDESK_{name}_TOKEN", Fake.TOKEN)
        with serving(fakes[kind.name](origin / ".git")) as fake:  # type: ignore[attr-defined]
            yield kind(f"{fake.address}/team/shop.git")
            assert fake.unknown == []
            assert all(pull["draft"] for pull in fake.pulls)

    @pytest.fixture
    def draft(self, origin: Path, part: Forge) -> DraftPullRequest:
        return DraftPullRequest(
            forge=part.name, repo="app", branch="nightdesk/INC-1", base=head(origin), title="Fix the answer",
            body="It was one too small.", state="proposed",
        )  # fmt: skip

    @pytest.fixture
    def branches(self, origin: Path) -> Callable[[], dict[str, tuple[str, dict[str, str]]]]:
        def now() -> dict[str, tuple[str, dict[str, str]]]:
            names = said(origin, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()
            return {name: (said(origin, "rev-parse", name), files(origin, name)) for name in names}

        return now


def said(origin: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(origin), *words], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def head(origin: Path) -> str:
    return said(origin, "rev-parse", "main")


def files(origin: Path, name: str) -> dict[str, str]:
    paths = said(origin, "ls-tree", "-r", "--name-only", name).split()
    return {path: said(origin, "show", f"{name}:{path}") for path in paths}
