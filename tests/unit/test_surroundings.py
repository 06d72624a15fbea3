"""What stands around a call: exceptions being handled, files. And how it is written."""

from __future__ import annotations

from datetime import UTC, datetime

from fixloop.reproduce import write
from fixloop.reproduce.catalogue import Catalogue
from fixloop.reproduce.lines import NOTHING
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.styles import Style
from fixloop.reproduce.surroundings import surrounded
from fixloop.reproduce.write import call_source
from fixloop.reproduce.yesterday import how_old
from store.event import Event, ExceptionValue, Frame

CATALOGUE = Catalogue(dict)
write_test = write.test_source


def event(*errors: ExceptionValue) -> Event:
    moment = datetime(2024, 6, 10, tzinfo=UTC)
    return Event(
        event_id="e" * 32,
        project="p",
        received_at=moment,
        timestamp=moment,
        platform="python",
        exceptions=errors,
    )


def recipe(*args: object, function: str = "report") -> Recipe:
    target = {
        "framework": "python",
        "module": "shop.report",
        "qualname": function,
        "receiver": None,
        "wrap": None,
    }
    return Recipe(entry="frame", repo="shop", target=target, inputs={"args": list(args), "kwargs": {}})


def test_a_call_in_a_handler_is_made_in_a_handler() -> None:
    outer, inner = Frame(function="work", filename="w.py"), Frame(function="report", filename="r.py")
    cause = ExceptionValue(type="ValueError", value="from the worker")
    first = ExceptionValue(type="RuntimeError", value="failed", frames=(outer,), chained="cause")
    last = ExceptionValue(type="IndexError", value="x", frames=(outer, inner), chained="context")
    found = next(surrounded(recipe(), event(cause, first, last), CATALOGUE))
    source = call_source(found)
    assert (
        "raise RuntimeError('failed') from ValueError('from the worker')\n    except RuntimeError:" in source
    )
    compile(source, "call", "exec")


def test_a_cause_inside_the_function_itself_is_no_surrounding() -> None:
    inner = Frame(function="report", filename="r.py")
    first = ExceptionValue(type="KeyError", value="'a'", frames=(inner,))
    last = ExceptionValue(type="KeyError", value="'b'", frames=(inner,), chained="context")
    assert list(surrounded(recipe(), event(first, last), CATALOGUE)) == []


def test_the_files_that_an_error_speaks_of_are_made_in_a_folder_of_the_tests_own() -> None:
    said = "[Errno 20] Not a directory: '/var/files/logo.txt/extra'"
    failure = ExceptionValue(type="NotADirectoryError", value=said, frames=(Frame(function="report"),))
    found = next(surrounded(recipe("/var/files", "/logo.txt/extra"), event(failure), CATALOGUE))
    assert found.inputs["files"] == {"logo.txt": ""}
    assert found.inputs["args"] == [{"$below": ""}, "/logo.txt/extra"]
    source = call_source(found)
    assert "report(str(folder), '/logo.txt/extra')" in source
    assert "/var/files" not in source
    assert "/var/files" in found.guessed[-1]


def test_objects_are_made_before_the_call_in_order() -> None:
    made = {"name": "graph", "call": "net.Graph", "args": [], "kwargs": {"n": 1}, "set": {"kind": "x"},
            "calls": [["add", [["a"]], {}, False], ["copy", [], {}, True]]}  # fmt: skip
    whole = recipe({"$ref": "graph"}).model_copy(
        update={"inputs": {"args": [{"$ref": "graph"}], "kwargs": {}, "objects": [made]}}
    )
    lines = [line.strip() for line in call_source(whole).splitlines()]
    start = lines.index("graph = Graph(n=1)")
    assert lines[start : start + 5] == [
        "graph = Graph(n=1)",
        "graph.add(['a'])",
        "graph = graph.copy()",
        "graph.kind = 'x'",
        "return report(graph)",
    ]
    assert "from net import Graph" in lines


def run(source: str, **names: object) -> None:
    """Run a written test with the function under test put in."""
    text = source.replace("from shop.report import report\n", "")
    space: dict[str, object] = dict(names)
    exec(compile(text, "test_it.py", "exec"), space)  # noqa: S102 - our own text
    space["test_it"]()  # type: ignore[operator]


def test_to_refuse_on_purpose_passes_and_to_crash_does_not() -> None:
    source = write_test(recipe(3), "test_it", "Doc.", None, False, None, Style(), NOTHING)

    def crashes(value: int) -> int:
        return value / 0  # type: ignore[return-value]

    try:
        run(source, report=crashes)
    except ZeroDivisionError:
        crashed = True
    else:
        crashed = False
    assert crashed
    run(source, report=lambda value: value)
    assert "    with may_refuse():\n" in source
    own = write_test(recipe(3), "test_it", "Doc.", None, False, "KeyError", Style(), NOTHING)
    assert 'type(error).__name__ == "KeyError" or outside' in own


def test_what_newer_pythons_removed_is_told_from_what_was_never_there() -> None:
    assert how_old("ImportError", "cannot import name 'Mapping' from 'collections' (/usr/lib/x.py)") == 1
    assert how_old("AttributeError", "module 'inspect' has no attribute 'getargspec'") == 1
    assert how_old("ModuleNotFoundError", "No module named 'imp'") == 1
    assert how_old("NameError", "name 'unicode' is not defined") == 2
    assert how_old("ModuleNotFoundError", "No module named 'shop'") == 2, (
        "Python 2 looked beside the importing module"
    )
    assert how_old("ModuleNotFoundError", "No module named 'shop.models'") == 0
    assert how_old("ImportError", "cannot import name 'Order' from 'shop.models'") == 0
    assert how_old("NameError", "name 'order' is not defined") == 0
    assert how_old("KeyError", "'collections'") == 0


def test_with_yesterdays_names_an_old_import_works() -> None:
    source = call_source(recipe().model_copy(update={"yesterday": 1}))
    assert source.index("restore(1)\n") < source.index("from shop.report import report")
    compile(source, "call", "exec")
