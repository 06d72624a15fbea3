"""The helpers of a test that gives code what production gave it: texts, each a piece of a test's source."""

from __future__ import annotations

ANSWERS = '''
class RecordedAnswers:
    """What other services answered: each request gets the next answer to its method and address."""

    def __init__(self, *answers):
        self.left, self.given = list(answers), []

    def to(self, method, url):
        """The answer: status, headers and body. Raises what the call raised."""

        def alike(one):
            theirs, ours = urlsplit(one[1]), urlsplit(str(url))
            return one[1] != str(url), theirs[1:3] != ours[1:3], theirs.path != ours.path

        asked = [one for one in (self.left + self.given[::-1]) if one[0] == method.upper()]
        if not asked:
            raise AssertionError(f"no answer was recorded to {method} {url}")
        found = min(asked, key=lambda one: (alike(one), one in self.given))
        if found in self.left:
            self.left.remove(found)
            self.given.append(found)
        if len(found) == 3:
            raise found[2]
        return found[2:]
'''
_HTTPX = '''
@contextlib.contextmanager
def recorded_{name}(*answers):
    """Requests of {name} are answered as they were."""
    answers = RecordedAnswers(*answers)

    def send(self, request):
        status, headers, body = answers.to(request.method, request.url)
        return {name}.Response(status, headers=headers, content=body, request=request)

    async def later(self, request):
        return send(self, request)

    with (
        mock.patch.object({name}.HTTPTransport, "handle_request", send),
        mock.patch.object({name}.AsyncHTTPTransport, "handle_async_request", later),
    ):
        yield
'''
_REQUESTS = '''
@contextlib.contextmanager
def recorded_requests(*answers):
    """Requests are answered as they were."""
    answers = RecordedAnswers(*answers)

    def send(self, request, **words):
        response = requests.Response()
        response.status_code, headers, response._content = answers.to(request.method, request.url)
        response.headers.update(headers)
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        response.url, response.request, response._content_consumed = request.url, request, True
        return response

    with mock.patch.object(requests.adapters.HTTPAdapter, "send", send):
        yield
'''
_URLLIB3 = '''
@contextlib.contextmanager
def recorded_urllib3(*answers):
    """Requests of urllib3 are answered as they were."""
    answers = RecordedAnswers(*answers)

    def urlopen(self, method, url, *args, preload_content=True, **words):
        port = f":{self.port}" if self.port else ""
        whole = url if "://" in url else f"{self.scheme}://{self.host}{port}{url}"
        status, headers, body = answers.to(method, whole)
        return urllib3.HTTPResponse(io.BytesIO(body), headers, status, preload_content=preload_content)

    with mock.patch.object(urllib3.connectionpool.HTTPConnectionPool, "urlopen", urlopen):
        yield
'''
_AIOHTTP = '''
@contextlib.contextmanager
def recorded_aiohttp(*answers):
    """Requests of aiohttp are answered as they were."""
    answers = RecordedAnswers(*answers)

    class Response(aiohttp.ClientResponse):
        """An answer without a connection."""

        def __init__(self, method, url, status, headers, body):
            self.method, self.status, self.reason, self._body, self._released = method, status, "", body, True
            self._cache, self._closed, self._connection, self._history = {}, True, None, ()
            self._headers = aiohttp.client_reqrep.CIMultiDictProxy(aiohttp.client_reqrep.CIMultiDict(headers))
            self._real_url = self._url = aiohttp.client_reqrep.URL(str(url))
            self._resolve_charset = lambda response, body: "utf-8"

        def release(self):
            return None

        close = __del__ = release

        async def wait_for_close(self):
            return None

        def raise_for_status(self):
            if self.status >= 400:
                raise aiohttp.ClientResponseError(None, (), status=self.status, message=self.reason)

    async def ask(self, method, url, **words):
        return Response(method, url, *answers.to(method, url))

    with mock.patch.object(aiohttp.ClientSession, "_request", ask):
        yield
'''
_URLLIB = '''
@contextlib.contextmanager
def recorded_urllib(*answers):
    """Requests of urllib are answered as they were."""
    answers = RecordedAnswers(*answers)

    def opened(self, fullurl, data=None, *args, **words):
        asked = fullurl if isinstance(fullurl, urllib.request.Request) else urllib.request.Request(fullurl, data)
        status, headers, body = answers.to(asked.get_method(), asked.full_url)
        told = email.message.Message()
        for name, value in headers.items():
            told[name] = value
        if status >= 400:
            raise urllib.error.HTTPError(asked.full_url, status, "", told, io.BytesIO(body))
        found = urllib.response.addinfourl(io.BytesIO(body), told, asked.full_url, status)
        found.getheader = told.get
        return found

    with mock.patch.object(urllib.request.OpenerDirector, "open", opened):
        yield
'''
# What the helpers of a client import beside it.
IMPORTS_OF_CLIENTS = {
    "urllib3": {"io", "urllib3"},
    "urllib": {"email.message", "io", "urllib.error", "urllib.request", "urllib.response"},
}
HELPERS_OF_CLIENTS = {
    "httpx": _HTTPX.format(name="httpx"), "httpx2": _HTTPX.format(name="httpx2"), "requests": _REQUESTS,
    "urllib3": _URLLIB3, "aiohttp": _AIOHTTP,
    "urllib": _URLLIB,
}  # fmt: skip

CURSORS = '''
class RecordedCursor:
    """A cursor that gives the rows that were read in production, those of each statement in their order. Of what was
    not read there it asks the real one, where there is one."""

    rowcount = lastrowid = arraysize = 1

    def __init__(self, statements, real=None):
        self._statements, self._real, self._rows, self.description = statements, real, None, None

    def execute(self, sql, *args, **words):
        wanted = " ".join(str(sql).split())
        left, given = self._statements
        found = next((one for one in left if one[0] == wanted), None)
        if found is not None:
            left.remove(found)
            given.append(found)
        found = found or next((one for one in given[::-1] if one[0] == wanted), None)
        self._rows = None
        if found is None and self._real is not None:
            self._real.execute(sql, *args, **words)
            self.description = self._real.description
            self.rowcount, self.lastrowid = self._real.rowcount, getattr(self._real, "lastrowid", None)
        elif found is not None:
            self.description, self._rows = [(name, *[None] * 6) for name in found[1]], list(found[2])
        return self

    def fetchmany(self, size=None):
        if self._rows is None:
            return self._real.fetchmany(size or self.arraysize) if self._real is not None else []
        size = size or self.arraysize
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    def fetchone(self):
        return next(iter(self.fetchmany(1)), None)

    def fetchall(self):
        if self._rows is None:
            return self._real.fetchall() if self._real is not None else []
        return self.fetchmany(len(self._rows) or 1)

    def __iter__(self):
        return iter(self.fetchall())

    async def _async_soft_close(self):
        return None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def __getattr__(self, name):
        return getattr(self._real, name) if self._real is not None else lambda *args, **words: None


class RecordedConnection:
    """A connection without a database behind it."""

    def __init__(self, statements):
        self._statements = statements

    def cursor(self, *args, **words):
        return RecordedCursor(self._statements)

    def execute(self, sql, *args):
        return self.cursor().execute(sql, *args)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def __getattr__(self, name):
        return lambda *args, **words: None


@contextlib.contextmanager
def recorded_rows(makers, *statements):
    """Statements give the rows that they gave in production."""
    statements = (list(statements), [])
    with contextlib.ExitStack() as stack:
        if "sqlalchemy" in makers:
            import asyncio

            from sqlalchemy.engine.default import DefaultDialect, DefaultExecutionContext
            from sqlalchemy.util import await_only

            real = DefaultExecutionContext.create_default_cursor

            def cursor(self):
                if self.dialect.is_async:  # it insists on something that is waited for
                    await_only(asyncio.sleep(0))
                connection = self._dbapi_connection
                bare = isinstance(getattr(connection, "dbapi_connection", connection), RecordedConnection)
                return RecordedCursor(statements, None if bare else real(self))

            stack.enter_context(mock.patch.object(DefaultExecutionContext, "create_default_cursor", cursor))
            connect = DefaultDialect.connect

            def connected(self, *args, **words):
                try:
                    return connect(self, *args, **words)
                except Exception:
                    self.initialize = lambda connection: None
                    return RecordedConnection(statements)

            stack.enter_context(mock.patch.object(DefaultDialect, "connect", connected))
        if "django" in makers:
            from django.db.backends.base.base import BaseDatabaseWrapper
            from django.db.backends.utils import CursorWrapper

            def make(self, cursor):
                return CursorWrapper(RecordedCursor(statements, cursor), self)

            for name in ("make_cursor", "make_debug_cursor"):
                stack.enter_context(mock.patch.object(BaseDatabaseWrapper, name, make))
        for name in {"sqlite3", "psycopg", "psycopg2"}.intersection(makers):
            stack.enter_context(mock.patch(f"{name}.connect", lambda *args, **words: RecordedConnection(statements)))
        yield
'''
DRAWN = '''
@contextlib.contextmanager
def recorded_draws(*numbers):
    """The functions of `random` give these numbers first."""
    left, shared = list(numbers), random._inst

    def taken(kind, otherwise):
        at = next((i for i, (one, _) in enumerate(left) if one == kind), None)
        return otherwise() if at is None else left.pop(at)[1]

    class RecordedDraws(random.Random):
        def random(self):
            return taken("random", super().random)

        def getrandbits(self, k):
            bits = super().getrandbits
            return taken("getrandbits", lambda: bits(k))

    before = shared.__class__, random.random, random.getrandbits
    shared.__class__ = RecordedDraws
    random.random, random.getrandbits = shared.random, shared.getrandbits
    try:
        yield
    finally:
        shared.__class__, random.random, random.getrandbits = before
'''
FILES = '''
@contextlib.contextmanager
def recorded_files(texts):
    """Files that are read say what they said."""
    real = builtins.open

    def opened(file, mode="r", *args, **words):
        name = os.fspath(file) if isinstance(file, (str, os.PathLike)) else None
        text = texts.get(name)
        if text is None or "r" not in mode or "+" in mode:
            return real(file, mode, *args, **words)
        return io.BytesIO(text.encode()) if "b" in mode else io.StringIO(text)

    with mock.patch.object(builtins, "open", opened), mock.patch.object(io, "open", opened):
        yield
'''
REDIS = '''
@contextlib.contextmanager
def recorded_redis(*answers):
    """Reads of redis give what they gave, those of one command in their order; nothing is written."""
    left, given = list(answers), []

    def execute(self, *args, **words):
        asked = (str(args[0]).upper(), *args[1:])
        found = next((one for one in [*left, *given[::-1]] if one[0] == asked), None)
        found = found or next((one for one in left if one[0][0] == asked[0]), (asked, None))
        if found in left:
            left.remove(found)
            given.append(found)
        return found[1]

    async def later(self, *args, **words):
        return execute(self, *args, **words)

    with (
        mock.patch.object(redis.Redis, "execute_command", execute),
        mock.patch.object(redis.asyncio.Redis, "execute_command", later),
    ):
        yield
'''
