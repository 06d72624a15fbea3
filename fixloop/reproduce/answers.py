"""What other services answered when the failure happened, given again: a sandbox has no network.

A capsule's exchanges become a list of answers in a recipe; a call is made in a block in which the libraries that the
application asks with (httpx, requests, urllib3, aiohttp) get those answers and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from textwrap import indent
from typing import Any

from fixloop.reproduce.lines import Lines, pretty
from fixloop.reproduce.recipe import Recipe
from fixloop.reproduce.values import plain
from store.event import Event

MOST = 50  # answers
_LONGEST = 200_000  # characters of one body
_OF_THE_WIRE = frozenset({
    "content-encoding", "content-length", "transfer-encoding", "connection", "date", "server", "set-cookie",
    "strict-transport-security", "vary", "via", "keep-alive", "alt-svc", "etag",
})  # fmt: skip

ANSWERS = '''
def answer_to(answers, method, url):
    """The recorded answer to a request: of several to the same address the next one, the last again and again."""
    for told in (lambda url: url, lambda url: url.partition("?")[0], lambda url: url.split("/")[2:3]):
        same = [one for one in answers if one["method"] == method.upper() and told(one["url"]) == told(str(url))]
        if same:
            if len(same) > 1:
                answers.remove(same[0])
            return same[0]
    raise ConnectionError(f"no answer to {method} {url} was recorded")


def content_of(answer):
    """The body of an answer, as bytes."""
    if "json" in answer:
        return json.dumps(answer["json"]).encode()
    body = answer.get("body") or ""
    return body.encode() if isinstance(body, str) else body
'''
_HTTPX = '''
def answered_by_httpx(answers):
    """httpx gets the recorded answers."""

    def handle(self, request):
        one = answer_to(answers, request.method, request.url)
        return httpx.Response(one["status"], headers=one.get("headers"), content=content_of(one), request=request)

    async def handle_async(self, request):
        return handle(self, request)

    yield mock.patch.object(httpx.HTTPTransport, "handle_request", handle)
    yield mock.patch.object(httpx.AsyncHTTPTransport, "handle_async_request", handle_async)
'''
_REQUESTS = '''
def answered_by_requests(answers):
    """requests gets the recorded answers."""

    def send(self, request, **words):
        one, response = answer_to(answers, request.method, request.url), requests.Response()
        response.status_code, response.request, response.url = one["status"], request, request.url
        response.headers.update(one.get("headers") or {})
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.raw = io.BytesIO(content_of(one))
        return response

    yield mock.patch.object(requests.adapters.HTTPAdapter, "send", send)
'''
_URLLIB3 = '''
def answered_by_urllib3(answers):
    """urllib3 gets the recorded answers."""

    def urlopen(self, method, url, *args, **words):
        port = "" if self.port in (None, 80, 443) else f":{self.port}"
        one = answer_to(answers, method, url if "://" in url else f"{self.scheme}://{self.host}{port}{url}")
        preload = words.get("preload_content", True)
        body = io.BytesIO(content_of(one))
        return urllib3.HTTPResponse(body, one.get("headers"), one["status"], preload_content=preload)

    yield mock.patch.object(urllib3.HTTPConnectionPool, "urlopen", urlopen)
'''
_AIOHTTP = '''
class Answered:
    """What aiohttp gives for a recorded answer."""

    def __init__(self, answer, method, url):
        self.status, self.method, self.url = answer["status"], method, url
        self.headers, self._content = answer.get("headers") or {}, content_of(answer)
        self.ok, self.reason, self.closed = self.status < 400, "", False

    async def read(self):
        return self._content

    async def text(self, encoding="utf-8", errors="strict"):
        return self._content.decode(encoding, errors)

    async def json(self, **words):
        return json.loads(self._content)

    def raise_for_status(self):
        if not self.ok:
            raise aiohttp.ClientResponseError(mock.MagicMock(), (), status=self.status, message=self.reason)

    def release(self):
        self.closed = True

    close = release

    async def wait_for_close(self):
        self.closed = True

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        self.release()


def answered_by_aiohttp(answers):
    """aiohttp gets the recorded answers."""

    async def ask(self, method, url, *, params=None, **words):
        url = self._build_url(url)
        url = url.update_query(params) if params else url
        return Answered(answer_to(answers, method, url), method, url)

    yield mock.patch.object(aiohttp.ClientSession, "_request", ask)
'''
_LIBRARIES: Mapping[str, str] = {
    "httpx": _HTTPX,
    "requests": _REQUESTS,
    "aiohttp": _AIOHTTP,
    "urllib3": _URLLIB3,
}


def answers_of(event: Event) -> list[dict[str, Any]]:
    """The answers that an event's capsule has, in the order in which they came."""
    content = event.capsule.content if event.capsule else None
    told = content.get("exchanges") if content else None
    found = (_answer(one) for one in (told if isinstance(told, list) else [])[:MOST])
    return [one for one in found if one is not None]


def _answer(one: Any) -> dict[str, Any] | None:
    """One exchange as an answer; None for what has no whole answer."""
    if not isinstance(one, dict) or not isinstance(one.get("status"), int):
        return None
    method, url, headers = one.get("method"), one.get("url"), one.get("headers")
    if not isinstance(method, str) or not isinstance(url, str):
        return None
    kept = {str(name): str(value) for name, value in (headers.items() if isinstance(headers, dict) else ())}
    answer: dict[str, Any] = {"method": method.upper(), "url": _plain_port(url), "status": one["status"]}
    if kept := {name: value for name, value in kept.items() if name.lower() not in _OF_THE_WIRE}:
        answer["headers"] = kept
    return {**answer, **_body(one.get("body"))}


def _plain_port(url: str) -> str:
    """An address without the port that its scheme has anyway."""
    return re.sub(r"^(https?)://([^/?#]*?):(80|443)(?=[/?#]|$)", r"\1://\2", url)


def _body(body: Any) -> dict[str, Any]:
    if isinstance(body, dict) and isinstance(body.get("b64"), str):
        try:
            return {"body": {"$repr": repr(base64.b64decode(body["b64"], validate=True))}}
        except (ValueError, binascii.Error):
            return {}
    if not isinstance(body, str) or len(body) > _LONGEST:
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {"body": body}
    return {"json": plain(value)} if isinstance(value, (dict, list)) else {"body": body}


def asked_with(texts: Iterable[str]) -> list[str]:
    """The libraries with which the code asks other services."""
    found = dict.fromkeys(
        name
        for text in texts
        for name in _LIBRARIES
        if name in text and re.search(rf"^\s*(?:import|from) {name}\b", text, re.MULTILINE)
    )
    if "requests" in found:
        found.pop("urllib3", None)  # requests asks by it
    return list(found)


def with_answers(recipe: Recipe, event: Event, libraries: list[str]) -> Recipe:
    """The call with the answers that its event's capsule has, for the libraries that the code asks with."""
    answers = answers_of(event) if libraries and "answers" not in recipe.inputs else []
    if not answers:
        return recipe
    target = {**recipe.target, "asks": libraries}
    return recipe.model_copy(update={"inputs": {**recipe.inputs, "answers": answers}, "target": target})


def answered(recipe: Recipe, lines: Lines) -> Lines:
    """The lines of a call inside a block in which other services answer as they did."""
    answers = recipe.inputs.get("answers")
    if not answers:
        return lines
    libraries = [name for name in recipe.target.get("asks", ()) if name in _LIBRARIES]
    lines.imports |= {"contextlib", "json", *libraries}
    lines.imports |= {"io"} if {"requests", "urllib3"} & set(libraries) else set()
    lines.froms.add(("unittest", "mock"))
    lines.helpers.append(ANSWERS + "\n" + "\n".join(_LIBRARIES[name] for name in libraries))
    head = ["answers = " + pretty(answers, lines.imports), "with contextlib.ExitStack() as patches:"]
    block = "for patch in answered_by_{name}(answers):\n    patches.enter_context(patch)"
    head += [indent(block.format(name=name), "    ") for name in libraries]
    lines.around.append(head)
    return lines
