"""Every page, light and dark and on a phone: accessible, quiet, light, within the host, and photographed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from store import queries
from tests.browser.conftest import SHOTS, Desk

pytestmark = [pytest.mark.heavy]
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
HEAVIEST = 120_000  # bytes of a page with all it loads


def pages(desk: Desk) -> dict[str, str]:
    """Every address that shows a page, by the name of its photograph."""
    commit = queries.latest_attempt(desk.house.database, "INC-1").changes[0].commit  # type: ignore[union-attr]
    return {
        "now": "/", "incident": "/incidents/INC-1", "hostile": "/incidents/INC-2", "bare": "/incidents/INC-3",
        "lane": "/incidents?lane=backlog", "noise": "/noise?seed=7", "search": "/search?q=KeyError",
        "nothing-found": "/search?q=nowhere", "change": f"/changes/shop/{commit}", "health": "/health?look=1",
        "connect": "/connect", "settings": "/settings", "grants": "/settings/grants", "help": "/help",
        "login": "/login", "error": "/incidents/INC-999",
    }  # fmt: skip


def violations(page: Page) -> list[str]:
    """What axe-core finds against a page as it stands."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("tags => axe.run(document, {runOnly: tags})", TAGS)
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(desk: Desk, scheme: str) -> None:
    context = desk.logged_in(None, color_scheme=scheme, bypass_csp=True)
    SHOTS.mkdir(exist_ok=True)
    found = {}
    for name, path in pages(desk).items():
        page = desk.open(path, context)
        found[name] = violations(page)
        page.screenshot(path=SHOTS / f"{name}-{scheme}.png", full_page=True)
        page.close()
    desk.complaints = [
        said for said in desk.complaints if "INC-999" not in said
    ]  # a 404 is told of, and is meant
    assert {name: list for name, list in found.items() if list} == {}


def test_nothing_scrolls_sideways_on_a_phone(desk: Desk) -> None:
    context = desk.logged_in(None, viewport={"width": 390, "height": 844})
    SHOTS.mkdir(exist_ok=True)
    wide = {}
    for name, path in pages(desk).items():
        page = desk.open(path, context)
        wide[name] = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        page.screenshot(path=SHOTS / f"{name}-phone.png", full_page=True)
        page.close()
    desk.complaints = [said for said in desk.complaints if "INC-999" not in said]
    assert {name: by for name, by in wide.items() if by > 0} == {}


def test_a_page_with_all_it_loads_is_light(desk: Desk) -> None:
    weights = {}
    for name, path in pages(desk).items():
        sizes: list[int] = []
        page = desk.context().new_page()
        page.on("response", lambda answer, sizes=sizes: sizes.append(len(answer.body())) if "live" not in answer.url else None)  # fmt: skip
        page.goto(path)
        page.wait_for_load_state("load")
        weights[name] = sum(sizes)
        page.context.close()
    assert max(weights.values()) <= HEAVIEST, weights
