"""A wire between a worker and a database that can be cut: nothing comes through, and nobody is told."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

CHUNK = 65536


class Wire:
    """Listens on a port of `host` and passes on to a socket of PostgreSQL."""

    def __init__(self, target: Path, host: str = "127.0.0.1") -> None:
        self._target = target
        self._whole = threading.Event()
        self._whole.set()
        self._listener = socket.create_server((host, 0))
        self.host = host
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Nothing comes through while the block lasts."""
        self._whole.clear()
        try:
            yield
        finally:
            self._whole.set()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        with near, socket.socket(socket.AF_UNIX) as far, contextlib.suppress(OSError):
            self._whole.wait()
            far.connect(str(self._target))
            other = {near: far, far: near}
            while True:
                ready, _, _ = select.select([near, far], [], [], 60)
                for each in ready:
                    self._whole.wait()
                    sent = each.recv(CHUNK)
                    if not sent:
                        return
                    other[each].sendall(sent)
