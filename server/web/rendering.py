"""From a template to a page. Text is escaped by the template engine, everywhere and always; a script runs only where it
carries the number that this one answer was given (a nonce)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from server.web.charts import CHARTS
from server.web.guard import policy
from server.web.spans import waterfall
from server.web.words import FILTERS

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(FILTERS)
_TEMPLATES.globals.update(CHARTS, waterfall=waterfall)


def page(
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    form_to: str = "",
    **values: Any,
) -> HTMLResponse:
    """A template filled in; a value that it asks for and does not get is a fault of ours. `form_to` is an address of
    somebody else to which a form of the page may lead."""
    nonce = secrets.token_urlsafe(16)
    given = {**(headers or {}), "Content-Security-Policy": policy(nonce, form_to)}
    return HTMLResponse(fragment(template, nonce=nonce, **values), status_code=status, headers=given)


def fragment(template: str, **values: Any) -> str:
    """A part of a page, as text."""
    return _TEMPLATES.get_template(template).render(**values)
