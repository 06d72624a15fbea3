"""A request through the application's own test client, as each framework's people write it."""

from __future__ import annotations

from collections.abc import Iterator

from fixloop.reproduce.interleaving import is_of_tasks
from fixloop.reproduce.lines import NOTHING, Lines, Taken, django_setup
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.values import render

# An ASGI application needs a test client that its environment may lack (Starlette's wants httpx): this is the fallback.
ASGI_CALL = '''
async def ask(app, method, path, query=b"", headers=(), body=b""):
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
        await app(scope, receive, send)
    except Exception:
        if not sent:
            return 500, ""
    status = next(message["status"] for message in sent if message["type"] == "http.response.start")
    text = b"".join(m.get("body", b"") for m in sent if m["type"] == "http.response.body").decode("utf-8", "replace")
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def request(*words, **more):
    """The same from outside a loop."""
    return asyncio.run(ask(*words, **more))
'''


AIOHTTP_CALL = '''
def request(app, method, path, **words):
    """One request to an aiohttp application on a port of its own; gives status and body."""

    async def ask():
        async with TestClient(TestServer(app)) as client, client.request(method, path, **words) as response:
            text = await response.text()
            is_json = "json" in response.headers.get("Content-Type", "")
            return response.status, json.loads(text) if is_json else text

    return asyncio.run(ask())
'''

TORNADO_CALL = '''
def request(app, method, path, headers=None, body=None):
    """One request to a Tornado application on a port of its own; gives status and body."""

    async def ask():
        server, (socket, port) = HTTPServer(app), bind_unused_port()
        server.add_socket(socket)
        address = f"http://127.0.0.1:{port}{path}"
        response = await AsyncHTTPClient().fetch(
            address, method=method, headers=headers, body=body, raise_error=False, allow_nonstandard_methods=True
        )
        server.stop()
        text = response.body.decode("utf-8", "replace")
        is_json = "json" in response.headers.get("Content-Type", "")
        return response.code, json.loads(text) if is_json else text

    return asyncio.run(ask())
'''


def client_lines(recipe: Recipe, taken: Taken = NOTHING) -> Lines:
    """The lines of one request; its client, or its application, may be taken from fixtures."""
    write = _asgi if is_of_tasks(recipe) else _CLIENTS[recipe.framework]
    return write(recipe, Lines(taken=taken))


def _application(recipe: Recipe, lines: Lines) -> str:
    if lines.taken.app or lines.taken.client:
        return lines.taken.app or ""
    module, attribute = recipe.target["module"], recipe.target["attribute"]
    lines.froms.add((module, attribute))
    return f"{attribute}()" if recipe.target.get("factory") else str(attribute)


def _words(recipe: Recipe, lines: Lines, *, json_word: str = "json", form_word: str = "data") -> str:
    """The arguments after the path: query, headers, body, as Flask's, Django's and Starlette's clients name them."""
    inputs, words = recipe.inputs, _headers(recipe, lines)
    if "json" in inputs:
        words += f", {json_word}={render(inputs['json'], lines.imports)}"
    elif "form" in inputs:
        words += f", {form_word}={render(inputs['form'], lines.imports)}"
    elif "body" in inputs:
        words += f", {form_word}={render(inputs['body'], lines.imports)}"
    return words


def _headers(recipe: Recipe, lines: Lines) -> str:
    headers = recipe.inputs.get("headers")
    return f", headers={render(headers, lines.imports)}" if headers else ""


def _uploads(recipe: Recipe, lines: Lines) -> Iterator[tuple[str, str, str]]:
    """Field, file name and content of each uploaded file; the last two as they are written."""
    for upload in recipe.inputs.get("uploads", ()):
        yield upload["field"], repr(upload["name"]), render(upload["content"], lines.imports)


def _path(recipe: Recipe) -> str:
    query = recipe.inputs.get("query") or ""
    return repr(recipe.inputs["path"] + ("?" + query if query else ""))


def _client(recipe: Recipe, lines: Lines, made: str) -> str:
    """The client's name; calls that are made at once have one each."""
    if recipe.schedule:
        return made
    if lines.taken.client:
        return lines.taken.client
    lines.setup.append(f"client = {made}")
    return "client"


def _flask(recipe: Recipe, lines: Lines) -> Lines:
    application = _application(recipe, lines)
    if application.endswith("()"):  # a factory
        lines.setup.append(f"app = {application}")
        application = "app"
    client = _client(recipe, lines, f"{application}.test_client()")
    lines.helpers.append(
        "\ndef answer(response):\n"
        "    body = response.get_json() if response.is_json else response.get_data(as_text=True)\n"
        "    return response.status_code, body\n"
    )
    method = str(recipe.inputs["method"]).lower()
    words = _words(recipe, lines)
    if recipe.inputs.get("uploads"):
        lines.imports.add("io")
        form = {str(k): render(v, lines.imports) for k, v in (recipe.inputs.get("form") or {}).items()}
        form |= {f: f"(io.BytesIO({content}), {name})" for f, name, content in _uploads(recipe, lines)}
        words = ", data={" + ", ".join(f"{k!r}: {v}" for k, v in form.items()) + "}" + _headers(recipe, lines)
    lines.result = f"answer({client}.{method}({_path(recipe)}{words}))"
    return lines


def _starlette(recipe: Recipe, lines: Lines) -> Lines:
    if not lines.taken.client:
        lines.froms.add(("starlette.testclient", "TestClient"))
    application = _application(recipe, lines)
    if application.endswith("()"):  # a factory
        lines.setup.append(f"app = {application}")
        application = "app"
    made = f"TestClient({application}, raise_server_exceptions=False)"
    if recipe.target.get("starts") and not recipe.schedule and not lines.taken.client:
        lines.blocks.append(f"with {made} as client:")  # what the application does when it starts
        client = "client"
    else:
        client = _client(recipe, lines, made)
    lines.helpers.append(
        "\ndef answer(response):\n"
        '    is_json = "json" in response.headers.get("content-type", "")\n'
        "    return response.status_code, response.json() if is_json else response.text\n"
    )
    method = str(recipe.inputs["method"]).upper()
    body_word = "content" if "body" in recipe.inputs else "data"
    words = _words(recipe, lines, form_word=body_word)
    if recipe.inputs.get("uploads"):
        files = (f"{f!r}: ({name}, {content})" for f, name, content in _uploads(recipe, lines))
        words += ", files={" + ", ".join(files) + "}"
    lines.result = f"answer({client}.request({method!r}, {_path(recipe)}{words}))"
    return lines


def _asgi(recipe: Recipe, lines: Lines) -> Lines:
    inputs = recipe.inputs
    lines.imports |= {"asyncio", "json"}
    lines.helpers.append(ASGI_CALL)
    headers = {str(k).lower(): str(v) for k, v in (inputs.get("headers") or {}).items()}
    words = f"{_application(recipe, lines)}, {str(inputs['method']).upper()!r}, {inputs['path']!r}"
    if inputs.get("query"):
        words += f", query={str(inputs['query']).encode()!r}"
    if "json" in inputs:
        headers["content-type"] = "application/json"
        words += f", body=json.dumps({render(inputs['json'], lines.imports)}).encode()"
    elif "body" in inputs:
        words += f", body={render(inputs['body'], lines.imports)}"
    if headers:
        pairs = ", ".join(f"({k.encode()!r}, {v.encode()!r})" for k, v in headers.items())
        words += f", headers=[{pairs}]"
    lines.result = f"{'ask' if is_of_tasks(recipe) else 'request'}({words})"
    return lines


def _django(recipe: Recipe, lines: Lines) -> Lines:
    inputs = recipe.inputs
    if not lines.taken.client:
        lines.before_imports = [
            *django_setup(recipe.target["settings"]),
            "from django.conf import settings",
            *(["from django.db import connections"] if recipe.schedule else []),
            "from django.test import Client",
            "from django.test.utils import get_runner, setup_test_environment, teardown_test_environment",
            "",
        ]
    lines.helpers.append(
        "\ndef answer(response):\n"
        '    is_json = "json" in response.headers.get("Content-Type", "")\n'
        '    return response.status_code, response.json() if is_json else response.content.decode("utf-8", "replace")\n'
    )
    if recipe.schedule:
        lines.imports.add("tempfile")
    if not lines.taken.client:
        lines.helpers.append(_database(recipe))
    lines.setup += _rows(recipe, lines)
    client = _client(recipe, lines, "Client(raise_request_exception=False)")
    method = str(inputs["method"]).lower()
    words = ""
    if inputs.get("uploads"):
        lines.froms.add(("django.core.files.uploadedfile", "SimpleUploadedFile"))
        form = {str(k): render(v, lines.imports) for k, v in (inputs.get("form") or {}).items()}
        form |= {f: f"SimpleUploadedFile({name}, {content})" for f, name, content in _uploads(recipe, lines)}
        words += ", data={" + ", ".join(f"{k!r}: {v}" for k, v in form.items()) + "}"
    elif "json" in inputs:
        words += f", data={render(inputs['json'], lines.imports)}, content_type='application/json'"
    elif "form" in inputs:
        words += f", data={render(inputs['form'], lines.imports)}"
    elif "body" in inputs:
        content = next(
            (v for k, v in (inputs.get("headers") or {}).items() if k.lower() == "content-type"), "text/plain"
        )
        words += f", data={render(inputs['body'], lines.imports)}, content_type={content!r}"
    headers = {k: v for k, v in (inputs.get("headers") or {}).items() if k.lower() != "content-type"}
    if headers:
        words += f", headers={render(headers, lines.imports)}"
    lines.result = f"answer({client}.{method}({_path(recipe)}{words}))"
    return lines


def _database(recipe: Recipe) -> str:
    """The functions that make the test database and take it away, by the names that pytest and unittest look for."""
    apart = (
        "    for database in connections.all():\n"
        '        if database.vendor == "sqlite":\n'
        '            path = os.path.join(tempfile.mkdtemp(), f"{database.alias}.sqlite3")\n'
        '            database.settings_dict["TEST"]["NAME"] = path\n'
    )
    return (
        "\nRUNNER = get_runner(settings)(verbosity=0, interactive=False)\n\n\n"
        "def setUpModule():\n"
        "    setup_test_environment()\n"
        # threads do not share a database in memory as two processes share a real one
        f"{apart if recipe.schedule else ''}"
        "    RUNNER.databases = RUNNER.setup_databases()\n"
        f"{'    connections.close_all()' + chr(10) if recipe.schedule else ''}\n\n"
        "def tearDownModule():\n"
        "    RUNNER.teardown_databases(RUNNER.databases)\n"
        "    teardown_test_environment()\n"
    )


def _rows(recipe: Recipe, lines: Lines) -> list[str]:
    """The rows that were there, each as its model makes it."""
    found = []
    rows = recipe.inputs.get("rows", ())
    used = {v["$ref"] for row in rows for v in row["fields"].values() if isinstance(v, dict) and "$ref" in v}
    for row in rows:
        module, _, name = str(row["model"]).rpartition(".")
        render({"$name": row["model"]}, set())  # refuses what is no name
        lines.froms.add((module, name))
        words = (
            f"{render({'$ref': key}, set())}={render(v, lines.imports)}" for key, v in row["fields"].items()
        )
        made = f"{name}.objects.create({', '.join(words)})"
        found.append(f"{render({'$ref': row['name']}, set())} = {made}" if row["name"] in used else made)
    return found


def _aiohttp(recipe: Recipe, lines: Lines) -> Lines:
    lines.imports |= {"asyncio", "json"}
    lines.froms |= {("aiohttp.test_utils", "TestClient"), ("aiohttp.test_utils", "TestServer")}
    lines.helpers.append(AIOHTTP_CALL)
    method = str(recipe.inputs["method"]).upper()
    words = _words(recipe, lines)
    lines.result = f"request({_application(recipe, lines)}, {method!r}, {_path(recipe)}{words})"
    return lines


def _tornado(recipe: Recipe, lines: Lines) -> Lines:
    inputs = recipe.inputs
    lines.imports |= {"asyncio", "json"}
    lines.froms |= {
        ("tornado.httpclient", "AsyncHTTPClient"),
        ("tornado.httpserver", "HTTPServer"),
        ("tornado.testing", "bind_unused_port"),
    }
    lines.helpers.append(TORNADO_CALL)
    headers, body = dict(inputs.get("headers") or {}), ""
    if "json" in inputs:
        headers["Content-Type"] = "application/json"
        body = f", body=json.dumps({render(inputs['json'], lines.imports)})"
    elif "form" in inputs:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        lines.froms.add(("urllib.parse", "urlencode"))
        body = f", body=urlencode({render(inputs['form'], lines.imports)}, doseq=True)"
    elif "body" in inputs:
        body = f", body={render(inputs['body'], lines.imports)}"
    given = f", headers={render(headers, lines.imports)}" if headers else ""
    method = str(inputs["method"]).upper()
    lines.result = f"request({_application(recipe, lines)}, {method!r}, {_path(recipe)}{given}{body})"
    return lines


_CLIENTS = {
    "flask": _flask,
    "starlette": _starlette,
    "asgi": _asgi,
    "django": _django,
    "aiohttp": _aiohttp,
    "tornado": _tornado,
}
