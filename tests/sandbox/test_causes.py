"""Parent against change: each verdict of the plan on a small history that deserves it."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import pytest

from store.event import Request
from store.repair import Ended, Oracle
from tests.sandbox.histories import History, crash, frame, run_loop

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

ORDERS = '''"""Orders."""

from app.names import full_name


def label(order):
    """What stands on the parcel."""
    name = full_name(order)
    return name.upper() + " / " + order["city"]
'''
NAMES_GOOD = '''"""Names."""


def full_name(record):
    """The name of whoever ordered."""
    return record.get("name")
'''
NAMES_BAD = NAMES_GOOD.replace('record.get("name")', 'record.get("display_name")')
ORDER = {"name": "'Ada'", "city": "'Oslo'"}
BASE = {"app/__init__.py": "", "app/orders.py": ORDERS, "app/names.py": NAMES_GOOD}


def label_crash(orders: str = ORDERS) -> object:
    line = 'return name.upper() + " / " + order["city"]'
    return crash(
        "AttributeError", "'NoneType' object has no attribute 'upper'",
        frame(orders, "app/orders.py", "label", line, order=ORDER, name="None"),
    )  # fmt: skip


def test_an_old_change_in_a_file_outside_the_trace_is_proven_and_newer_decoys_are_not(tmp_path: Path) -> None:
    decoy = ORDERS.replace('"""What stands on the parcel."""', '"""What stands on a parcel."""')
    history = History("app", [
        ("Start", "2024-01-01", BASE), ("Display names", "2024-01-20", {"app/names.py": NAMES_BAD}),
        ("Say it better", "2024-06-01", {"app/orders.py": decoy}), ("Notes", "2024-06-02", {"NOTES.md": "x\n"}),
    ])  # fmt: skip
    done = run_loop(tmp_path, [history], label_crash(decoy))
    assert done.verdict("app", 1) == "proven"
    assert done.verdict("app", 2) == "refuted"
    assert done.attempt.changes[0].commit == done.commits["app"][1]
    assert 'record.get("display_name")' in (done.attempt.changes[0].hunks or "")
    assert done.attempt.reproducer is not None
    assert done.attempt.reproducer.oracle is Oracle.PARENT_VALUE
    assert "ADA / Oslo" in done.attempt.reproducer.source


@pytest.mark.heavy
def test_the_fix_keeps_the_new_reading_and_falls_back_to_the_one_it_replaced(tmp_path: Path) -> None:
    history = History("app", [
        ("Start", "2024-01-01", BASE),
        ("Display names", "2024-01-20", {
            "app/names.py": NAMES_BAD,
            "tests/test_names.py": "from app.names import full_name\n\n\ndef test_the_display_name_wins():\n"
            "    assert full_name({'name': 'a', 'display_name': 'A'}) == 'A'\n",
        }),
    ])  # fmt: skip
    attempt = run_loop(tmp_path, [history], label_crash(), until="repair").attempt
    assert attempt.ended is Ended.PROVEN, [(patch.diffs, said.said) for patch, said in attempt.rejected]
    assert attempt.patch is not None
    assert attempt.patch.fixer == "rules"
    assert 'else record.get("name")' in attempt.patch.diffs["app"]
    assert [validation.rule for patch, validation in attempt.rejected if patch.fixer == "revert"] == ["suite"]


def test_a_fault_that_came_with_the_feature_is_said_to_be_so(tmp_path: Path) -> None:
    history = History("app", [
        ("Start", "2024-01-01", {"app/__init__.py": "", "app/names.py": NAMES_BAD}),
        ("Parcels", "2024-02-01", {"app/orders.py": ORDERS}),
    ])  # fmt: skip
    done = run_loop(tmp_path, [history], label_crash())
    assert done.verdict("app", 1) == "introduced_with_feature"
    assert done.attempt.reproducer is not None
    assert done.attempt.reproducer.oracle is Oracle.NO_CRASH


def test_with_the_fault_in_the_first_commit_nothing_is_proven(tmp_path: Path) -> None:
    history = History("app", [
        ("Start", "2024-01-01", {**BASE, "app/names.py": NAMES_BAD}),
        ("Reformat", "2024-03-01", {"app/names.py": NAMES_BAD.replace("Names.", "The names.")}),
    ])  # fmt: skip
    done = run_loop(tmp_path, [history], label_crash())
    assert {str(change.verdict) for change in done.attempt.changes} <= {
        "introduced_with_feature",
        "refuted",
        "untested",
    }


def test_behind_a_parent_that_fails_in_another_way_the_search_goes_on(tmp_path: Path) -> None:
    broken = ORDERS.replace("from app.names import full_name", "from app.nowhere import full_name")
    history = History("app", [
        ("Start", "2024-01-01", BASE), ("Display names", "2024-01-20", {"app/names.py": NAMES_BAD}),
        ("Half of a move", "2024-02-01", {"app/orders.py": broken}),
        ("The other half", "2024-02-02", {"app/orders.py": ORDERS}),
    ])  # fmt: skip
    done = run_loop(tmp_path, [history], label_crash())
    assert done.verdict("app", 1) == "proven"


LABELS = ORDERS.replace("Orders.", "Labels.")


def test_behind_a_move_the_change_is_proven_that_did_it_and_not_the_move(tmp_path: Path) -> None:
    history = History("app", [
        ("Start", "2024-01-01", {**BASE, "app/orders.py": "NOTHING = 1\n", "app/labels.py": LABELS}),
        ("Display names", "2024-01-20", {"app/names.py": NAMES_BAD}),
        ("Labels are of orders", "2024-02-01", {"app/labels.py": None, "app/orders.py": ORDERS}),
    ])  # fmt: skip
    done = run_loop(tmp_path, [history], label_crash())
    assert done.verdict("app", 1) == "proven"
    assert done.verdict("app", 2) in ("refuted", "untested")


@pytest.mark.heavy
def test_a_module_beside_the_importing_one_is_found_as_python_2_found_it(tmp_path: Path) -> None:
    beside = ORDERS.replace("from app.names import full_name", "from names import full_name")
    history = History("app", [
        ("Start", "2024-01-01", {**BASE, "app/orders.py": beside}),
        ("Display names", "2024-01-20", {"app/names.py": NAMES_BAD}),
        ("Say where from", "2024-02-01", {"app/orders.py": ORDERS}),
    ])  # fmt: skip
    done = run_loop(tmp_path, [history], label_crash())
    assert done.verdict("app", 1) == "proven"


OUTER = '''"""Parcels."""

from app.orders import label


def parcel(order, make=label):
    """What is sent."""
    return make({"city": order["city"]})
'''


def test_a_change_of_who_handed_the_value_over_is_not_refuted_by_a_call_that_begins_inside(
    tmp_path: Path,
) -> None:
    before = OUTER.replace('{"city": order["city"]}', "order")
    history = History("app", [
        ("Start", "2024-01-01", {**BASE, "app/parcels.py": before}),
        ("Only what is needed", "2024-02-01", {"app/parcels.py": OUTER}),
    ])  # fmt: skip
    event = crash(
        "AttributeError", "'NoneType' object has no attribute 'upper'",
        frame(OUTER, "app/parcels.py", "parcel", 'return make({"city": order["city"]})',
              order="<app.kept.Order object at 0x7f00>", make="<app.kept.Maker object at 0x7f01>"),
        frame(ORDERS, "app/orders.py", "label", 'return name.upper() + " / " + order["city"]',
              order={"city": "'Oslo'"}, name="None"),
    )  # fmt: skip
    done = run_loop(tmp_path, [history], event)
    assert done.attempt.reproducer is not None
    assert "label(" in done.attempt.reproducer.source
    assert done.verdict("app", 1) == "untested"


READER = '''"""Jobs."""


def shipped(job):
    """Tell the customer."""
    return "to " + str(job["customer_id"])
'''


def test_who_made_the_records_without_a_field_is_not_refuted_by_a_call_that_is_given_one(
    tmp_path: Path,
) -> None:
    maker = '"""Events."""\n\n\ndef shipped(customer):\n    return {"customer_id": customer["id"]}\n'
    history = History("app", [
        ("Start", "2024-01-01", {"app/__init__.py": "", "app/jobs.py": READER, "app/events.py": maker}),
        ("Events carry the customer", "2024-06-01", {
            "app/events.py": maker.replace('{"customer_id": customer["id"]}', '{"customer": customer}'),
        }),
        ("Say it better", "2024-06-02", {"app/jobs.py": READER.replace("Tell the", "Tell a")}),
    ])  # fmt: skip
    line = 'return "to " + str(job["customer_id"])'
    event = crash("KeyError", "'customer_id'", frame(
        READER, "app/jobs.py", "shipped", line, job={"customer": {"id": "7"}},
    ))  # fmt: skip
    done = run_loop(tmp_path, [history], event)
    assert done.verdict("app", 1) == "untested"
    assert done.verdict("app", 2) == "refuted"
    told = [c.said for c in done.attempt.changes if c.commit == done.commits["app"][1]]
    assert told == ["it takes customer_id out of app/events.py, which the reproducer does not run"]


BUILT = '''"""Parcels."""

from app.names import record
from app.orders import label


def parcel(row, make):
    """What is sent."""
    order = record(row)
    return make(label(order))
'''
RECORDS = '''"""Names."""


def full_name(order):
    return order.get("name")


def record(row):
    """What is known of an order."""
    return {"name": row[0], "city": row[1]}
'''


def test_who_made_the_value_is_proven_by_a_call_that_makes_it_again_where_the_caller_cannot_be_called(
    tmp_path: Path,
) -> None:
    broken = RECORDS.replace('"name": row[0]', '"title": row[0]')
    history = History("app", [
        ("Start", "2024-01-01", {**BASE, "app/names.py": RECORDS, "app/parcels.py": BUILT}),
        ("Titles", "2024-02-01", {"app/names.py": broken}),
        ("Say it better", "2024-06-02", {"app/orders.py": ORDERS.replace("Orders.", "The orders.")}),
    ])  # fmt: skip
    event = crash(
        "AttributeError", "'NoneType' object has no attribute 'upper'",
        frame(BUILT, "app/parcels.py", "parcel", "return make(label(order))", row=["'Ada'", "'Oslo'"],
              order={"title": "'Ada'", "city": "'Oslo'"}, make="<app.kept.Maker object at 0x7f01>"),
        frame(ORDERS.replace("Orders.", "The orders."), "app/orders.py", "label",
              'return name.upper() + " / " + order["city"]',
              order={"title": "'Ada'", "city": "'Oslo'"}, name="None"),
    )  # fmt: skip
    done = run_loop(tmp_path, [history], event)
    assert done.verdict("app", 1) == "proven"
    assert done.attempt.reproducer is not None
    assert "record(" in done.attempt.reproducer.source
    assert done.attempt.reproducer.oracle is Oracle.PARENT_VALUE
    assert done.verdict("app", 2) in ("refuted", "untested")


HANDLES = '''"""Names."""


def full_name(record):
    """The name of whoever ordered, as they want to be called."""
    chosen = record.get("display_name")
    if chosen and chosen.startswith("@"):
        chosen = chosen[1:]
    return chosen
'''


@pytest.mark.heavy
def test_a_change_that_was_built_upon_is_proven_with_its_function_put_back_and_is_not_reverted(
    tmp_path: Path,
) -> None:
    history = History("app", [
        ("Start", "2024-01-01", BASE), ("Display names", "2024-01-20", {"app/names.py": NAMES_BAD}),
        ("Say it better", "2024-01-25", {"app/names.py": NAMES_BAD.replace("Names.", "The names.")}),
        ("Handles", "2024-02-01", {"app/names.py": HANDLES}),
    ])  # fmt: skip
    done = run_loop(tmp_path, [history], label_crash(), until="repair")
    assert done.verdict("app", 1) == "proven"
    assert done.verdict("app", 3) == "refuted"
    assert done.attempt.reproducer is not None
    assert done.attempt.reproducer.oracle is Oracle.PARENT_VALUE
    assert "revert" not in {patch.fixer for patch, _ in done.attempt.rejected}
    assert done.attempt.patch is None or done.attempt.patch.fixer != "revert"


def test_a_fault_that_was_mended_and_brought_back_is_laid_at_the_door_of_who_brought_it_back(
    tmp_path: Path,
) -> None:
    mended = ORDERS.replace("full_name(order)\n", 'full_name(order) or order["name"]\n')
    assert mended != ORDERS
    history = History("app", [
        ("Start", "2024-01-01", BASE), ("Display names", "2024-01-20", {"app/names.py": NAMES_BAD}),
        ("Names all the same", "2024-01-25", {"app/orders.py": mended}),
        ("Handles", "2024-02-01", {"app/names.py": HANDLES}),
        ("Simpler", "2024-02-03", {"app/orders.py": ORDERS}),
    ])  # fmt: skip
    done = run_loop(tmp_path, [history], label_crash())
    proven = [change.commit for change in done.attempt.changes if change.verdict == "proven"]
    assert proven == [done.commits["app"][4]]


def test_through_a_move_and_a_formatter_the_hunks_still_come_out(tmp_path: Path) -> None:
    formatted = '''"""Names."""


def full_name(
    record,
):
    """The name of whoever ordered."""
    return record.get(
        "display_name",
    )
'''
    gone = dict.fromkeys(BASE)
    moved = {"src/app/__init__.py": "", "src/app/orders.py": ORDERS, "src/app/names.py": NAMES_BAD}
    history = History("app", [
        ("Start", "2024-01-01", BASE), ("Display names", "2024-01-20", {"app/names.py": NAMES_BAD}),
        ("Move to src", "2024-02-01", {**gone, **moved}),
        ("Run the formatter", "2024-02-02", {"src/app/names.py": formatted}),
    ])  # fmt: skip
    done = run_loop(tmp_path, [history], label_crash())
    assert done.verdict("app", 1) == "proven"


READ = '''"""Price lists."""


def text_of(raw):
    """The text of an upload."""
    return raw.decode("utf-8")


def rows(raw):
    """Its lines."""
    return text_of(raw).split(";")
'''


@pytest.mark.heavy
def test_a_parent_that_meets_the_same_error_and_answers_is_one_that_works(tmp_path: Path) -> None:
    before = READ.replace(
        'return raw.decode("utf-8")',
        'try:\n        return raw.decode("utf-8")\n    except UnicodeDecodeError:\n        return raw.decode("cp1252")',
    )
    later = READ.replace('raw.decode("utf-8")', 'raw.decode("utf-8", "strict")')
    history = History("app", [
        ("Start", "2024-01-01", {"app/__init__.py": "", "app/lists.py": before}),
        ("Drop the old encoding", "2024-02-01", {"app/lists.py": READ}),
        ("Say it", "2024-03-01", {"app/lists.py": later}),
    ])  # fmt: skip
    message = "'utf-8' codec can't decode byte 0xfc in position 1: invalid start byte"
    line = 'return raw.decode("utf-8", "strict")'
    raw = "b'M\\xfcller;2'"
    done = run_loop(tmp_path, [history], crash(
        "UnicodeDecodeError", message, frame(later, "app/lists.py", "rows", 'return text_of(raw).split(";")', raw=raw),
        frame(later, "app/lists.py", "text_of", line, raw=raw),
    ), until="repair")  # fmt: skip
    attempt = done.attempt
    assert done.verdict("app", 1) == "proven"
    assert attempt.ended is Ended.PROVEN, attempt.said
    assert attempt.patch is not None
    assert attempt.patch.fixer == "rules"
    assert "cp1252" in attempt.patch.diffs["app"]


def test_a_library_that_breaks_a_service_is_named_with_the_service_pinned(tmp_path: Path) -> None:
    service = {
        "service/__init__.py": "",
        "service/parcels.py": ORDERS.replace("from app.names", "from library.names"),
    }
    library = {"library/__init__.py": "", "library/names.py": NAMES_GOOD}
    event = crash(
        "AttributeError", "'NoneType' object has no attribute 'upper'",
        frame(service["service/parcels.py"], "service/parcels.py", "label",
              'return name.upper() + " / " + order["city"]', order=ORDER, name="None"),
    )  # fmt: skip
    done = run_loop(tmp_path, [
        History("service", [("Start", "2024-01-01", service), ("Docs", "2024-05-01", {"README.md": "s\n"})]),
        History("library", [("Start", "2023-12-01", library),
                            ("Display names", "2024-02-01", {"library/names.py": NAMES_BAD}),
                            ("Docs", "2024-05-02", {"README.md": "l\n"})]),
    ], event)  # fmt: skip
    assert done.verdict("library", 1) == "proven"
    assert done.attempt.reproducer is not None
    assert done.attempt.reproducer.repo == "service"


def test_an_answer_that_was_meant_to_change_is_not_the_oracle(tmp_path: Path) -> None:
    before = (
        '"""Export."""\n\n\ndef line(order):\n    """One line of the file."""\n    return order["city"]\n'
    )
    after = before.replace('return order["city"]', 'return order["city"] + ";" + order["carrier"]')
    history = History("app", [
        ("Start", "2024-01-01", {"app/__init__.py": "", "app/export.py": before}),
        ("Carrier column", "2024-02-01", {"app/export.py": after}),
    ])  # fmt: skip
    event = crash(
        "KeyError", "'carrier'",
        frame(after, "app/export.py", "line", 'return order["city"] + ";" + order["carrier"]', order=ORDER),
    )  # fmt: skip
    done = run_loop(tmp_path, [history], event)
    assert done.verdict("app", 1) == "proven"
    assert done.attempt.reproducer is not None
    assert done.attempt.reproducer.oracle is Oracle.NO_CRASH


def test_a_used_up_argument_sends_the_ladder_to_the_frame_outside(tmp_path: Path) -> None:
    text = '''"""Queue."""


def drain(jobs):
    """Take the jobs one after the other."""
    while True:
        job = jobs.pop(0)
        if job == "stop":
            return


def work(batch):
    """Work on a batch."""
    return drain(list(batch))
'''
    history = History("app", [("Start", "2024-01-01", {"app/__init__.py": "", "app/queue.py": text})])
    event = crash(
        "IndexError", "pop from empty list",
        frame(text, "app/queue.py", "work", "return drain(list(batch))", batch=["'a'", "'b'"]),
        frame(text, "app/queue.py", "drain", "job = jobs.pop(0)", jobs=[], job="'b'"),
    )  # fmt: skip
    attempt = run_loop(tmp_path, [history], event).attempt
    assert attempt.reproducer is not None
    assert attempt.reproducer.recipe["target"]["qualname"] == "work"
    assert attempt.reproducer.guessed == ()


def test_a_request_that_only_fails_the_second_time_is_sent_twice(tmp_path: Path) -> None:
    text = '''"""Service."""

from flask import Flask, jsonify, request

app = Flask(__name__)
kept = {}


@app.post("/quotes")
def quotes():
    """Prices, kept between calls."""
    customer = request.get_json()["customer"]
    if customer in kept:
        return jsonify(prices=kept[customer] + [1])
    kept[customer] = (5,)
    return jsonify(prices=[5])
'''
    pins = "\n".join(
        f"{name}=={version(name)}" for name in ("flask", "werkzeug", "jinja2", "click", "itsdangerous")
    )
    history = History("app", [("Start", "2024-01-01", {"service/__init__.py": "", "service/web.py": text})])
    request = Request(
        method="POST", url="http://shop.example/quotes", headers={"Content-Type": "application/json"},
        data={"customer": "acme", "note": "please"},
    )  # fmt: skip
    event = crash(
        "TypeError", 'can only concatenate tuple (not "list") to tuple',
        frame(text, "service/web.py", "quotes", "return jsonify(prices=kept[customer] + [1])", customer="'acme'"),
        request=request,
    )  # fmt: skip
    attempt = run_loop(tmp_path, [history], event, requirements=pins).attempt
    assert attempt.reproducer is not None
    assert attempt.reproducer.entry == "http"
    assert "it takes 2 calls" in attempt.reproducer.source
    assert attempt.reproducer.failures == attempt.reproducer.runs == 20
