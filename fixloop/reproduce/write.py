"""Write a recipe as Python: as a call that returns what it gave, and as the test that a colleague would have written.

Both come from the same lines, so that what is proven is what is in the draft.
"""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import indent
from typing import Any

from fixloop.reproduce.lines import Lines, django_setup, frame_lines, pretty
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.values import render, renderable

YESTERDAY = Path(__file__).parent / "yesterday.py"

# An ASGI application needs a test client that its environment may lack (Starlette's wants httpx): this is the fallback.
ASGI_CALL = '''
def request(app, method, path, query=b"", headers=(), body=b""):
    """One request to an ASGI application; gives status and body. What the application raises becomes a 500."""
    sent, messages = [], [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query, "root_path": "", "headers": list(headers),
        "client": ("127.0.0.1", 50000), "server": ("testserver", 80),
    }
    try:
        asyncio.run(app(scope, receive, send))
    except Exception:
        if not sent:
            return 500, ""
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    text = b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body").decode("utf-8", "replace")
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text
'''

REFUSED = '''
def refused(error):
    """Whether the code under test raised this on purpose: to refuse an input is an answer, too."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    outside = "/site-packages/" in last.filename or "/lib/python" in last.filename
    return not outside and (last.line or "").startswith("raise ")
'''

KEEPS = '''
def keeps(expected, actual):
    """Whether all of `expected` is in `actual`; a newer version may say more."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(k in actual and keeps(v, actual[k]) for k, v in expected.items())
    if isinstance(expected, (list, tuple)):
        return (
            type(actual) is type(expected)
            and len(actual) == len(expected)
            and all(map(keeps, expected, actual))
        )
    return type(actual) is type(expected) and actual == expected
'''


def call_source(recipe: Recipe) -> str:
    """A module with `call()`: does it, and returns the value (http: status and body)."""
    lines = lines_of(recipe)
    body = lines.body([*_repeated(recipe, lines), f"return {lines.result}"])
    source = _module(lines, f"def call():\n{indent(chr(10).join(body), '    ')}\n")
    return f"{YESTERDAY.read_text('utf-8')}\n\nrestore()\n{source}" if recipe.yesterday else source


def test_source(
    recipe: Recipe, name: str, doc: str, expected: Any, asserted: bool, refused_as: str | None
) -> str:
    """The test. `expected` is the snapshot that the oracle asserts; with `asserted` False only "does not fail" is
    asked, and to refuse the input on purpose is not to fail; `refused_as` is the incident's own type where that was
    raised on purpose, too.
    """
    lines = lines_of(recipe)
    body = _repeated(recipe, lines)
    if asserted and isinstance(expected, dict) and "$raises" in expected:
        body += _raises(lines, expected["$raises"])
    elif asserted or recipe.entry == "http":
        body += _assertions(recipe, lines, expected, asserted)
    else:
        body += _not_failing(lines, refused_as)
    body = lines.body(body)
    return f'"""{_docstring(doc)}\n"""\n' + _module(
        lines, f"def {name}():\n{indent(chr(10).join(body), '    ')}\n"
    )


def assertable(expected: Any) -> bool:
    """Whether a snapshot can be asserted: a literal, an object with a stable repr, or an error that was raised
    on purpose.
    """
    if isinstance(expected, dict) and ("$raises" in expected or expected.get("$object")):
        return "$raises" in expected or expected.get("repr") is not None
    return renderable(expected)


def _docstring(doc: str) -> str:
    return doc.replace("\\", "\\\\").replace('"""', "'''").rstrip('"')


def _module(lines: Lines, function: str) -> str:
    heads = list(lines.before_imports)
    for standard in (True, False):  # in two groups, as a colleague's tools would sort them
        group = [f"import {name}" for name in sorted(lines.imports) if _is_standard(name) is standard]
        group += [
            f"from {module} import {name}"
            for module, name in sorted(lines.froms)
            if _is_standard(module) is standard
        ]
        heads += ["", *group] if heads and heads[-1] and group else group
    helpers = "".join(f"\n{helper}" for helper in lines.helpers)
    return "\n".join(heads) + "\n" + helpers + "\n\n" + function


def _is_standard(module: str) -> bool:
    return module.partition(".")[0] in sys.stdlib_module_names


def _repeated(recipe: Recipe, lines: Lines) -> list[str]:
    if recipe.repeat < 2:
        return []
    return [
        f"for _ in range({recipe.repeat - 1}):  # it takes {recipe.repeat} calls: state builds up",
        f"    {lines.result}",
    ]


def _assertions(recipe: Recipe, lines: Lines, expected: Any, asserted: bool) -> list[str]:
    if recipe.entry == "http":
        given = [f"status, body = {lines.result}"]
        if not asserted:
            return [*given, "assert status < 500, body"]
        status, body = expected["$tuple"]
        checks = [f"assert status == {status}, body"]
        return given + checks + (_equals(lines, "body", body) if body not in ("", None) else [])
    return [f"result = {lines.result}", *_equals(lines, "result", expected)]


def _not_failing(lines: Lines, refused_as: str | None) -> list[str]:
    """The call; an error that is raised on purpose refuses the input, and is an answer."""
    lines.imports.add("traceback")
    lines.helpers.append(REFUSED)
    other = f'type(error).__name__ == "{refused_as}" or ' if refused_as else ""
    return [
        "try:",
        indent(lines.result, "    "),
        "except Exception as error:",
        f"    if {other}not refused(error):",
        "        raise",
    ]


def _equals(lines: Lines, name: str, expected: Any) -> list[str]:
    if isinstance(expected, dict) and "$object" in expected:
        return [f"assert repr({name}) == {expected['repr']!r}"]
    text = pretty(expected, lines.imports)
    if expected is None or isinstance(expected, bool):
        return [f"assert {name} is {text}"]
    if _has_mapping(expected):
        if KEEPS not in lines.helpers:
            lines.helpers.append(KEEPS)
        return [f"assert keeps({text}, {name}), {name}"]
    return [f"assert {name} == {text}"]


def _has_mapping(value: Any) -> bool:
    if isinstance(value, dict):
        if "$tuple" in value:
            return any(_has_mapping(item) for item in value["$tuple"])
        return not any(str(key).startswith("$") for key in value)
    return isinstance(value, list) and any(_has_mapping(item) for item in value)


def _raises(lines: Lines, dotted: str) -> list[str]:
    module, _, kind = dotted.rpartition(".")
    if module and module != "builtins":
        lines.froms.add((module, kind.split(".", maxsplit=1)[0]))
    lines.imports.add("pytest")
    return [f"with pytest.raises({kind}):", f"    {lines.result}"]


# --- one call, by entry ----------------------------------------------------------------------------------------


def lines_of(recipe: Recipe) -> Lines:
    """The lines of one call."""
    if recipe.entry == "http":
        return _HTTP[recipe.framework](recipe)
    return frame_lines(recipe)


def _application(recipe: Recipe, lines: Lines) -> str:
    module, attribute = recipe.target["module"], recipe.target["attribute"]
    lines.froms.add((module, attribute))
    return f"{attribute}()" if recipe.target.get("factory") else str(attribute)


def _words(recipe: Recipe, lines: Lines, *, json_word: str = "json", form_word: str = "data") -> str:
    """The arguments after the path: query, headers, body, as Flask's, Django's and Starlette's clients name them."""
    inputs, words = recipe.inputs, ""
    if inputs.get("headers"):
        words += f", headers={render(inputs['headers'], lines.imports)}"
    if "json" in inputs:
        words += f", {json_word}={pretty(inputs['json'], lines.imports)}"
    elif "form" in inputs:
        words += f", {form_word}={pretty(inputs['form'], lines.imports)}"
    elif "body" in inputs:
        words += f", {form_word}={render(inputs['body'], lines.imports)}"
    return words


def _path(recipe: Recipe) -> str:
    query = recipe.inputs.get("query") or ""
    return repr(recipe.inputs["path"] + ("?" + query if query else ""))


def _flask(recipe: Recipe) -> Lines:
    lines = Lines()
    lines.setup.append(f"client = {_application(recipe, lines)}.test_client()")
    lines.helpers.append(
        "\ndef answer(response):\n"
        "    body = response.get_json() if response.is_json else response.get_data(as_text=True)\n"
        "    return response.status_code, body\n"
    )
    method = str(recipe.inputs["method"]).lower()
    lines.result = f"answer(client.{method}({_path(recipe)}{_words(recipe, lines)}))"
    return lines


def _starlette(recipe: Recipe) -> Lines:
    lines = Lines()
    lines.froms.add(("starlette.testclient", "TestClient"))
    lines.setup.append(f"client = TestClient({_application(recipe, lines)}, raise_server_exceptions=False)")
    lines.helpers.append(
        "\ndef answer(response):\n"
        '    is_json = "json" in response.headers.get("content-type", "")\n'
        "    return response.status_code, response.json() if is_json else response.text\n"
    )
    method = str(recipe.inputs["method"]).upper()
    body_word = "content" if "body" in recipe.inputs else "data"
    words = _words(recipe, lines, form_word=body_word)
    lines.result = f"answer(client.request({method!r}, {_path(recipe)}{words}))"
    return lines


def _asgi(recipe: Recipe) -> Lines:
    lines, inputs = Lines(), recipe.inputs
    lines.imports |= {"asyncio", "json"}
    lines.helpers.append(ASGI_CALL)
    headers = {str(k).lower(): str(v) for k, v in (inputs.get("headers") or {}).items()}
    words = f"{_application(recipe, lines)}, {str(inputs['method']).upper()!r}, {inputs['path']!r}"
    if inputs.get("query"):
        words += f", query={str(inputs['query']).encode()!r}"
    if "json" in inputs:
        headers["content-type"] = "application/json"
        words += f", body=json.dumps({pretty(inputs['json'], lines.imports)}).encode()"
    elif "body" in inputs:
        words += f", body={render(inputs['body'], lines.imports)}"
    if headers:
        pairs = ", ".join(f"({k.encode()!r}, {v.encode()!r})" for k, v in headers.items())
        words += f", headers=[{pairs}]"
    lines.result = f"request({words})"
    return lines


def _django(recipe: Recipe) -> Lines:
    lines, inputs = Lines(), recipe.inputs
    lines.before_imports = [
        *django_setup(recipe.target["settings"]),
        "from django.conf import settings",
        "from django.test import Client",
        "from django.test.utils import get_runner, setup_test_environment",
        "",
    ]
    lines.helpers.append(
        "\ndef answer(response):\n"
        '    is_json = "json" in response.headers.get("Content-Type", "")\n'
        '    return response.status_code, response.json() if is_json else response.content.decode("utf-8", "replace")\n'
    )
    lines.setup += [
        'if not hasattr(django, "nightdesk_databases"):',
        "    setup_test_environment()",
        "    django.nightdesk_databases = get_runner(settings)(verbosity=0, interactive=False).setup_databases()",
        "client = Client(raise_request_exception=False)",
    ]
    method = str(inputs["method"]).lower()
    words = ""
    if "json" in inputs:
        words += f", data={pretty(inputs['json'], lines.imports)}, content_type='application/json'"
    elif "form" in inputs:
        words += f", data={pretty(inputs['form'], lines.imports)}"
    elif "body" in inputs:
        content = next(
            (v for k, v in (inputs.get("headers") or {}).items() if k.lower() == "content-type"), "text/plain"
        )
        words += f", data={render(inputs['body'], lines.imports)}, content_type={content!r}"
    headers = {k: v for k, v in (inputs.get("headers") or {}).items() if k.lower() != "content-type"}
    if headers:
        words += f", headers={render(headers, lines.imports)}"
    lines.result = f"answer(client.{method}({_path(recipe)}{words}))"
    return lines


_HTTP = {"flask": _flask, "starlette": _starlette, "asgi": _asgi, "django": _django}
