"""What the traffic of several applications needs."""

import atexit
import io
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from wsgiref.util import setup_testing_defaults


def request(path, body=None):
    """A request to the Django application, as its server makes it."""
    from django.core.wsgi import get_wsgi_application

    text = json.dumps(body).encode() if body is not None else b""
    environ = {"PATH_INFO": path, "REQUEST_METHOD": "POST" if text else "GET", "CONTENT_LENGTH": str(len(text)),
               "CONTENT_TYPE": "application/json", "wsgi.input": io.BytesIO(text)}  # fmt: skip
    setup_testing_defaults(environ)
    return b"".join(get_wsgi_application()(environ, lambda status, headers: None))


def answering(answers):
    """A service on a port of its own that gives these answers by path; its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(answers[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *words):
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def redis_server():
    """A redis server that ends with this traffic; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    running = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    atexit.register(running.terminate)
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return f"redis://127.0.0.1:{port}/0"
        except OSError:
            if time.monotonic() > until:
                raise


@contextmanager
def postgres():
    """A PostgreSQL server; the address of an empty database."""
    sys.path.append(str(Path(__file__).resolve().parents[3]))
    from bench.postgres_server import PostgresServer

    with PostgresServer.start() as server:
        yield server.new_database().replace("+psycopg", "")
