"""Calls of other services: what was asked and what came back, of httpx, requests, urllib3, urllib and aiohttp.

Each client is hooked where its caller calls it, so that an exchange is what the application saw. A body that the caller
asks to have as a stream is left to the caller; where it was read as a whole after all, and its answer is still there
when an error is sent, it is taken from there.
"""

from __future__ import annotations

import base64
from time import time
from typing import Any, Callable, Dict, Iterable, List
from weakref import ref

from nightdesk_capture.trail import BODY, Inside, Note, current, is_inside, is_sending

Wrap = Callable[[Any, str, Callable[[Any], Any]], None]


def hook_httpx(module: Any, wrap: Wrap) -> None:
    """httpx, and httpx2, which has the same classes."""
    name = module.__name__

    def sync(send: Any) -> Any:
        def hooked(self: Any, request: Any, *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            if is_inside():
                return send(self, request, *args, **words)
            try:
                response = send(self, request, *args, **words)
            except Exception as error:
                _failed(name, request.method, request.url, error)
                raise
            _note_all(_of_httpx, response)
            return response

        return hooked

    def later(send: Any) -> Any:
        async def hooked(self: Any, request: Any, *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            try:
                response = await send(self, request, *args, **words)
            except Exception as error:
                _failed(name, request.method, request.url, error)
                raise
            _note_all(_of_httpx, response)
            return response

        return hooked

    wrap(module.Client, "send", sync)
    wrap(module.AsyncClient, "send", later)


def hook_requests(module: Any, wrap: Wrap) -> None:
    """requests: a session's `send`, with the answers that redirected."""

    def sync(send: Any) -> Any:
        def hooked(self: Any, request: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            if is_inside():
                return send(self, request, **words)
            try:
                with Inside():
                    response = send(self, request, **words)
            except Exception as error:
                _failed("requests", request.method, request.url, error)
                raise
            _note_all(_of_requests, response)
            return response

        return hooked

    wrap(module.Session, "send", sync)


def hook_urllib3(module: Any, wrap: Wrap) -> None:
    """urllib3 used as it is."""

    def sync(urlopen: Any) -> Any:
        def hooked(self: Any, method: Any, url: Any, *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            if is_inside() or is_sending():
                return urlopen(self, method, url, *args, **words)
            try:
                with Inside():  # it calls itself to redirect and to try again
                    response = urlopen(self, method, url, *args, **words)
            except Exception as error:
                _failed("urllib3", method, _whole(self, url), error)
                raise
            _note_one(lambda one: _of_urllib3(self, method, url, args, words, one), response)
            return response

        return hooked

    wrap(module.connectionpool.HTTPConnectionPool, "urlopen", sync)


def hook_urllib(module: Any, wrap: Wrap) -> None:
    """urllib.request: an answer is noted when it has come, its body when the caller reads it as a whole."""

    def sync(opens: Any) -> Any:
        def hooked(self: Any, fullurl: Any, *args: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            if is_inside():
                return opens(self, fullurl, *args, **words)
            try:
                with Inside():  # it calls itself to redirect
                    response = opens(self, fullurl, *args, **words)
            except Exception as error:
                _urllib_failed(fullurl, args, words, error)
                raise
            _note_urllib(fullurl, args, words, response, None)
            return response

        return hooked

    wrap(module.request.OpenerDirector, "open", sync)


def hook_aiohttp(module: Any, wrap: Wrap) -> None:
    """aiohttp: an answer is noted when its body is read, a call that fails when it fails."""

    def reading(read: Any) -> Any:
        async def hooked(self: Any) -> Any:
            __tracebackhide__ = True
            first = getattr(self, "_body", None) is None
            body = await read(self)
            if first:
                _note_one(_of_aiohttp, self)
            return body

        return hooked

    def asking(ask: Any) -> Any:
        async def hooked(self: Any, method: Any, url: Any, **words: Any) -> Any:
            __tracebackhide__ = True
            try:
                return await ask(self, method, url, **words)
            except Exception as error:
                _failed("aiohttp", method, url, error)
                raise

        return hooked

    wrap(module.ClientResponse, "read", reading)
    wrap(module.ClientSession, "_request", asking)


# --- notes --------------------------------------------------------------------------------------------------------


def _note_one(of: Callable[[Any], Note], response: Any) -> None:
    try:
        if (trail := current()).is_noted:
            trail.answered(of(response))
    except Exception:  # the answer is the caller's in any case
        return


def _note_all(of: Callable[[Any], Note], response: Any) -> None:
    """The answer, after those that redirected to it."""
    try:
        before = response.history
    except Exception:  # of no kind that is known
        return
    if before:
        for one in before:
            _note_one(of, one)
    _note_one(of, response)


def _failed(client: str, method: Any, url: Any, error: Exception) -> None:
    try:
        if not (trail := current()).is_noted:
            return
        kind = type(error)
        said = {"class": f"{kind.__module__}.{kind.__qualname__}", "message": str(error)[:500]}
        trail.answered({
            "client": client, "method": method, "url": url, "asked": [], "sent": b"", "status": None, "headers": [],
            "body": None, "at": time(), "error": said,
        })  # fmt: skip
    except Exception:  # the error itself is on its way
        return


def _urllib_failed(asked: Any, args: Any, words: Any, error: Any) -> None:
    """An answer of 400 and more is an error there, and has a body all the same; b"" as long as nobody reads it."""
    try:
        if type(getattr(error, "code", None)) is int:
            _note_urllib(asked, args, words, error, b"")
        else:
            method, url = _asked_of_urllib(asked, args, words)
            _failed("urllib", method, url, error)
    except Exception:  # the error itself is on its way
        return


def _asked_of_urllib(asked: Any, args: Any, words: Any) -> Any:
    """Method and address."""
    if hasattr(asked, "get_method"):
        return asked.get_method(), asked.full_url
    return "GET" if (args[0] if args else words.get("data")) is None else "POST", asked


def _note_urllib(asked: Any, args: Any, words: Any, response: Any, body: Any) -> None:
    try:
        if not (trail := current()).is_noted:
            return
        method, url = _asked_of_urllib(asked, args, words)
        note = {
            "client": "urllib", "method": method, "url": url, "asked": getattr(asked, "headers", {}),
            "sent": getattr(asked, "data", args[0] if args else words.get("data")), "status": response.status,
            "headers": response.headers, "body": body, "at": time(),
        }  # fmt: skip
        read = response.read
        trail.answered(note)

        def reading(*amount: Any) -> Any:
            __tracebackhide__ = True
            content = read(*amount)
            if not amount:
                trail.body_read(note, content)
            return content

        response.read = reading
    except Exception:  # the answer is the caller's in any case
        return


def _whole_body(body: Any) -> Any:
    return body if type(body) is bytes else None


def _body_of(response: Any, name: str) -> Note:
    """The body, or what may have it later: not held on to, for it may be large."""
    body = getattr(response, name, None)
    return {"body": body} if type(body) is bytes else {"body": None, "later": (ref(response), name)}


def _of_httpx(response: Any) -> Note:
    request = response.request
    return {
        "client": type(response).__module__.partition(".")[0], "method": request.method, "url": request.url,
        "asked": request.headers, "sent": getattr(request, "_content", None), "status": response.status_code,
        "headers": response.headers, **_body_of(response, "_content"), "at": time(),
    }  # fmt: skip


def _of_requests(response: Any) -> Note:
    request = response.request
    return {
        "client": "requests", "method": request.method, "url": request.url, "asked": request.headers,
        "sent": request.body, "status": response.status_code, "headers": response.headers,
        **_body_of(response, "_content"), "at": time(),
    }  # fmt: skip


def _of_urllib3(pool: Any, method: Any, url: Any, args: Any, words: Any, response: Any) -> Note:
    return {
        "client": "urllib3", "method": method, "url": _whole(pool, url),
        "asked": (args[1] if len(args) > 1 else words.get("headers")) or {},
        "sent": args[0] if args else words.get("body"), "status": response.status, "headers": response.headers,
        **_body_of(response, "_body"), "at": time(),
    }  # fmt: skip


def _whole(pool: Any, url: Any) -> str:
    text = str(url)
    if "://" in text:
        return text
    port = f":{pool.port}" if pool.port else ""
    return f"{pool.scheme}://{pool.host}{port}{text}"


def _of_aiohttp(response: Any) -> Note:
    request = response.request_info
    return {
        "client": "aiohttp", "method": request.method, "url": request.real_url, "asked": request.headers,
        "sent": None, "status": response.status, "headers": response.headers, "body": _whole_body(response._body),
        "at": time(),
    }  # fmt: skip


# --- as they are sent -----------------------------------------------------------------------------------------------


def told(notes: Iterable[Note]) -> List[Dict[str, Any]]:
    """The exchanges as a capsule has them; called when an error is sent. One that cannot be told is left out."""
    found = []
    for note in list(notes):
        try:
            found.append(_told(note))
        except Exception:  # the others can
            continue
    return found


def _told(note: Note) -> Dict[str, Any]:
    made = {
        "method": _word(note["method"]).upper(),
        "url": _word(note["url"]),
        "request": {"headers": _headers(note["asked"]), "body": _text(note["sent"])},
        "status": note["status"],
        "headers": _headers(note["headers"]),
        "body": _text(_body_now(note)),
        "at": round(note["at"], 3),
        "client": note["client"],
    }
    made.update({name: note[name] for name in ("error", "size") if name in note})
    return made


def _body_now(note: Note) -> Any:
    """The body as it was noted, or as its answer has it by now."""
    if note["body"] is not None or "later" not in note:
        return note["body"]
    answer, name = note["later"]
    found = _whole_body(getattr(answer(), name, None))
    if found is not None and len(found) > BODY:
        note["size"] = len(found)
        return None
    return found


def _word(value: Any) -> str:
    return value.decode("latin-1") if type(value) is bytes else str(value)


def _headers(headers: Any) -> Dict[str, str]:
    pairs = headers.items() if hasattr(headers, "items") else headers
    return {_word(name): _word(value) for name, value in pairs}


def _text(body: Any) -> Any:
    """A body as text, or as {"b64": …} where it is none; None for what is not there as a whole."""
    if type(body) is str or body is None:
        return body
    if type(body) is not bytes:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(body).decode()}
