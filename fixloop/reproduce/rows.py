"""Rows that a request needs: what a Django application looked up and did not find in an empty test database.

Production went on behind the look-up, so the row was there. What is looked up by is known; the other fields that have
to be filled get the emptiest value of their type, and that is said. Only the application's own models are made.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fixloop.reproduce.lines import Lines
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.values import render

MOST = 12  # rows of one request

_WATCHING = '''
def watch_lookups():
    """Tell, as rows in the order in which they have to be made, what is looked up by fields and is not there."""
    from django.db.models import QuerySet
    from django.db.models.lookups import Exact

    missed = []

    def wanted(where):
        for child in getattr(where, "children", ()):
            if isinstance(child, Exact) and hasattr(child.lhs, "target"):
                yield child.lhs.target.model, child.lhs.target, child.rhs
            elif not getattr(child, "negated", False):
                yield from wanted(child)

    def plain(value):
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        name = type(value).__module__ + "." + type(value).__qualname__
        if name in ("uuid.UUID", "decimal.Decimal"):
            return {"$call": name, "args": [str(value)], "kwargs": {}}
        return None

    def emptiest(field):
        if field.choices:
            return field.flatchoices[0][0]
        kind = field.get_internal_type()
        if kind in ("DateTimeField", "DateField", "TimeField"):
            return {"DateTimeField": {"$call": "datetime.datetime", "args": [2000, 1, 1],
                                      "kwargs": {"tzinfo": {"$name": "datetime.timezone.utc"}}},
                    "DateField": {"$call": "datetime.date", "args": [2000, 1, 1], "kwargs": {}},
                    "TimeField": {"$call": "datetime.time", "args": [0, 0], "kwargs": {}}}[kind]
        if kind == "UUIDField":
            return {"$call": "uuid.UUID", "args": ["00000000-0000-0000-0000-000000000001"], "kwargs": {}}
        if kind == "DurationField":
            return {"$call": "datetime.timedelta", "args": [], "kwargs": {}}
        if kind == "BooleanField":
            return False
        if kind == "JSONField":
            return {}
        if kind == "FloatField":
            return 0.0
        if "Integer" in kind or kind == "DecimalField":
            return 0
        if kind == "EmailField":
            return "someone@example.com"
        return "x"

    def row(model, known, depth=0):
        fields = dict(known)
        for field in model._meta.concrete_fields:
            given = field.name in fields or field.attname in fields
            if given or field.null or field.has_default() or getattr(field, "auto_now", False) or (
                getattr(field, "auto_now_add", False) or field.get_internal_type().endswith("AutoField")
            ):
                continue
            if field.remote_field is None:
                fields[field.name] = emptiest(field)
            elif depth < 3:
                fields[field.name] = {"$ref": row(field.remote_field.model, {}, depth + 1)}
        for name in [name for name in fields if name.endswith("_id")]:
            field = model._meta.get_field(name)
            if field.remote_field is not None:
                there = field.remote_field.model.objects.filter(pk=fields[name]).exists()
                made = [one for one in missed if one["model"] == dotted(field.remote_field.model)]
                if not there and not made and depth < 3:
                    row(field.remote_field.model, {"pk": fields[name]}, depth + 1)
        taken = {one["name"] for one in missed}
        name = next(n for n in (model._meta.model_name + (str(i) if i else "") for i in range(99)) if n not in taken)
        missed.append({"model": dotted(model), "name": name, "fields": fields})
        return name

    def dotted(model):
        return model.__module__ + "." + model.__qualname__

    def note(found):
        known = {}
        for model, field, value in wanted(found.query.where):
            known.setdefault(model, {})[field.attname] = plain(getattr(value, "pk", value))
        mine = known.pop(found.model, {})
        known = {model: fields for model, fields in known.items() if None not in fields.values()}
        if None in mine.values() or not (mine or known):
            return
        for model, fields in known.items():
            name = row(model, fields)
            for field in found.model._meta.concrete_fields:
                if field.remote_field is not None and field.remote_field.model is model:
                    mine[field.name] = {"$ref": name}
        row(found.model, mine)

    get, first = QuerySet.get, QuerySet.first

    def watched_get(self, *args, **kwargs):
        try:
            return get(self, *args, **kwargs)
        except self.model.DoesNotExist:
            if not missed:
                note(self.filter(*args, **kwargs))
            raise

    def watched_first(self):
        found = first(self)
        if found is None and not missed:
            note(self)
        return found

    QuerySet.get, QuerySet.first = watched_get, watched_first
    return missed
'''


def looking_up(lines: Lines) -> list[str]:
    """The statements of a call that gives the rows that were looked up in vain; the helper is put into `lines`."""
    lines.helpers.append(_WATCHING)
    lines.imports.add("json")
    return ["missed = watch_lookups()", lines.result, "return json.dumps(missed)"]


def with_rows(recipe: Recipe, told: Any, is_own: Callable[[str], bool]) -> Recipe | None:
    """The recipe with the rows that a run told of, or None where there are none that can be made. What is told comes
    out of code that is judged: a model has to be the team's own, and a value one that can be written."""
    rows = list(recipe.inputs.get("rows", ()))
    taken = {str(row["name"]) for row in rows}
    every = _read(told)
    fresh = [row for row in every if _whole(row, is_own)]
    if not fresh or len(fresh) != len(every) or len(rows) + len(fresh) > MOST:
        return None
    if any(row["name"] in taken for row in fresh) or any(
        (row["model"], row["fields"]) == (old["model"], old["fields"]) for row in fresh for old in rows
    ):
        return None
    note = "rows: " + ", ".join(f"a {str(row['model']).rpartition('.')[2]}" for row in fresh)
    return recipe.model_copy(
        update={
            "inputs": {**recipe.inputs, "rows": [*rows, *fresh]},
            "guessed": (*recipe.guessed, f"{note} that was looked up, with what it cannot do without"),
        }
    )


def _read(told: Any) -> list[Any]:
    try:
        every = json.loads(told) if isinstance(told, str) else []
    except (ValueError, RecursionError):
        return []
    return every if isinstance(every, list) else []


def _whole(row: Any, is_own: Callable[[str], bool]) -> bool:
    if (
        not isinstance(row, dict)
        or set(row) != {"model", "name", "fields"}
        or not isinstance(row["fields"], dict)
    ):
        return False
    try:
        render({"$name": row["model"]}, set())
        render({"$call": "dict", "args": [], "kwargs": row["fields"]}, set())
        render({"$ref": str(row["name"])}, set())
    except (ValueError, KeyError, TypeError, SyntaxError, AttributeError):
        return False
    return is_own(str(row["model"]))
