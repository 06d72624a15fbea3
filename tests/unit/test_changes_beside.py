"""What stands beside the functions of the clues: callers, tables, registries, files that code names; and the calls of a
failing test."""

from __future__ import annotations

from pathlib import Path

from fixloop.changes.clues import Clues, Spot, clues_of
from fixloop.changes.evidence import Scene, look
from fixloop.changes.ranking import order
from fixloop.changes.words import reasons
from fixloop.running.worlds import Layout, RepoLayout
from fixloop.situation import ReleaseSources, Situation
from store.mirrors import Mirrors
from tests.sandbox.histories import History, crash, frame, write

START = ("Start", "2023-01-01")


def looked_at(
    tmp_path: Path, clues: Clues, *commits: tuple[str, str, dict[str, str | None]]
) -> tuple[Scene, list[str]]:
    shas = write(tmp_path / "origin", History("shop", list(commits)))
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.add("shop", str(tmp_path / "origin"))
    return look(clues, [(mirrors.get("shop"), shas[-1])])[0], shas


def regions(scene: Scene, kind: str) -> set[str]:
    return {f"{one.path}:{one.title}" for one in scene.regions if one.kind == kind}


PRICE = "def price_of(item):\n    return item['price']\n"


def test_who_calls_a_function_that_no_trace_leads_to_is_looked_at(tmp_path: Path) -> None:
    basket = "from shop.prices import price_of\n\n\ndef total(items):\n    return sum(price_of(x) for x in items)\n"
    scene, shas = looked_at(
        tmp_path,
        Clues((Spot("shop", "shop/prices.py", None, "price_of"),)),
        (*START, {"shop/prices.py": PRICE, "shop/basket.py": basket, "shop/other.py": "LIMIT = 1\n"}),
        (
            "Sums of lines",
            "2023-02-01",
            {"shop/basket.py": basket.replace("price_of(x)", "price_of(x.line)")},
        ),
        *((f"Limit {n}", f"2023-03-{n:02}", {"shop/other.py": f"LIMIT = {n}\n"}) for n in range(2, 6)),
    )
    assert regions(scene, "caller") == {"shop/basket.py:total"}
    said = reasons(scene.suspects[shas[1]], scene, Clues(()))
    assert "changed total, which calls it (+1 −1)" in said


def test_a_function_that_is_called_everywhere_has_no_callers_worth_a_look(tmp_path: Path) -> None:
    uses = {f"shop/m{n}.py": f"def use_{n}(item):\n    return price_of(item)\n" for n in range(9)}
    clues = Clues((Spot("shop", "shop/prices.py", None, "price_of"),))
    scene, _ = looked_at(tmp_path, clues, (*START, {"shop/prices.py": PRICE, **uses}))
    assert regions(scene, "caller") == set()


def test_what_a_table_holds_is_called_through_it(tmp_path: Path) -> None:
    pay = "from shop.ways import WAYS\n\n\ndef pay(order):\n    return WAYS[order['way']](order)\n"
    ways = "from shop.cards import by_card\n\nWAYS = {\n    'card': by_card,\n}\n"
    cards = "def by_card(order):\n    return order['card']\n"
    scene, _ = looked_at(
        tmp_path,
        Clues((Spot("shop", "shop/pay.py", 5, "pay"),)),
        (*START, {"shop/pay.py": pay, "shop/ways.py": ways, "shop/cards.py": cards}),
    )
    assert regions(scene, "callee") == {"shop/ways.py:WAYS", "shop/cards.py:by_card"}
    table = next(one for one in scene.regions if one.name == "WAYS")
    assert (table.start, table.end) == (3, 5)


def test_what_a_decorator_put_into_a_table_is_called_through_it(tmp_path: Path) -> None:
    pay = "from shop.ways import WAYS\n\n\ndef pay(order):\n    return WAYS[order['way']](order)\n"
    ways = (
        "WAYS = {}\n\n\ndef way_of_paying(name):\n    def keep(function):\n        WAYS[name] = function\n"
        "        return function\n    return keep\n"
    )
    cards = "from shop.ways import way_of_paying\n\n\n@way_of_paying('card')\ndef by_card(order):\n    return order['card']\n"
    scene, _ = looked_at(
        tmp_path,
        Clues((Spot("shop", "shop/pay.py", 5, "pay"),)),
        (*START, {"shop/pay.py": pay, "shop/ways.py": ways, "shop/cards.py": cards}),
    )
    assert "shop/cards.py:by_card" in regions(scene, "callee")


def test_the_template_that_the_function_names_is_read_by_it(tmp_path: Path) -> None:
    page = 'def page(order):\n    return render("orders/page.html", order=order)\n'
    clues = Clues((Spot("shop", "shop/pages.py", 2, "page"),))
    scene, shas = looked_at(
        tmp_path,
        clues,
        (*START, {"shop/pages.py": page, "shop/templates/orders/page.html": "<p>{{ order.name }}</p>\n"}),
        ("Names of customers", "2023-02-01", {
            "shop/templates/orders/page.html": "<p>{{ order.customer.name }}</p>\n",
        }),
    )  # fmt: skip
    assert regions(scene, "reads") == {"shop/templates/orders/page.html:shop/templates/orders/page.html"}
    number = next(n for n, one in enumerate(scene.regions) if one.kind == "reads")
    assert number in scene.suspects[shas[1]].touched


def test_where_only_a_test_is_on_the_stack_what_the_test_calls_is_looked_at(tmp_path: Path) -> None:
    test = "from shop.prices import price_of\n\n\ndef test_price():\n    assert price_of({'price': 2}) == 3\n"
    shas = write(tmp_path / "origin", History("shop", [
        (*START, {"shop/prices.py": PRICE, "shop/stock.py": "LEFT = 1\n", "tests/test_prices.py": test}),
        ("Twice", "2023-02-01", {"shop/prices.py": PRICE.replace("item['price']", "2 * item['price']")}),
        ("Less", "2023-02-02", {"shop/stock.py": "LEFT = 0\n"}),
    ]))  # fmt: skip
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.add("shop", str(tmp_path / "origin"))
    event = crash(
        "AssertionError",
        "",
        frame(test, "tests/test_prices.py", "test_price", "assert price_of({'price': 2}) == 3"),
    )
    layout = Layout((RepoLayout("shop", shas[-1]),))
    clues = clues_of(Situation([event], ReleaseSources(mirrors, layout.commits, {}), layout))
    assert not clues.spots
    assert [spot.path for spot in clues.in_tests] == ["tests/test_prices.py"]
    scene = look(clues, [(mirrors.get("shop"), shas[-1])])[0]
    assert regions(scene, "body") == {"shop/prices.py:price_of"}
    listed = [one.suspect.change.sha for one in order(clues, [scene])]
    assert listed.index(shas[1]) < listed.index(shas[2])
