"""The description of `/api/v1` in OpenAPI 3.1, made from the table of endpoints."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.api.endpoints import ENDPOINTS, Endpoint
from server.api.models import Error, Nothing
from server.policy import scope_of

PREFIX = "/api/v1"
_REFS = "#/components/schemas/{model}"
_REFUSALS = {
    400: "What was sent does not fit.", 401: "No token, or one that is not good.",
    403: "The token or the person behind it may not do this.", 404: "There is no such thing.",
    408: "The body came too slowly.", 413: "The body is too large.", 429: "Too many requests at once.",
    503: "Something that is relied on does not answer; try again.",
}  # fmt: skip


def description(version: str) -> dict[str, Any]:
    """The whole document."""
    taken = [each.body for each in ENDPOINTS if each.body] + [each.query for each in ENDPOINTS]
    answered = [each.answer for each in ENDPOINTS] + [Error]
    _, schemas = models_json_schema(
        [
            *((model, "validation") for model in dict.fromkeys(taken) if model is not Nothing),
            *((model, "serialization") for model in dict.fromkeys(answered)),
        ],
        ref_template=_REFS,
    )
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in ENDPOINTS:
        operations = paths.setdefault(PREFIX + endpoint.path, {})
        operations[endpoint.method.lower()] = _operation(endpoint, schemas["$defs"])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nightdesk", "version": version,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer",
                    "description": "Made with `nightdesk token create`; it has one or more scopes.",
                }
            },
        },
        "security": [{"token": []}],
    }  # fmt: skip


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    scope = scope_of(endpoint.action)
    found: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "security": [{"token": [scope.value] if scope else []}],
        "parameters": [*_in_path(endpoint), *_in_query(endpoint, schemas)],
        "responses": {
            str(endpoint.status): {"description": "Done.", "content": _json(endpoint.answer)},
            **{
                str(status): {"description": said, "content": _json(Error)}
                for status, said in _REFUSALS.items()
            },
        },
    }
    if endpoint.body is not None:
        found["requestBody"] = {"required": True, "content": _json(endpoint.body)}
    return found


def _in_path(endpoint: Endpoint) -> list[dict[str, Any]]:
    names = re.findall(r"\{(\w+)\}", endpoint.path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _in_query(endpoint: Endpoint, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    if endpoint.query is Nothing:
        return []
    fields: dict[str, dict[str, Any]] = schemas[endpoint.query.__name__]["properties"]
    return [
        {
            "name": name, "in": "query", "required": False,
            "description": schema.get("description", ""),
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for name, schema in fields.items()
    ]  # fmt: skip


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFS.format(model=model.__name__)}}}
