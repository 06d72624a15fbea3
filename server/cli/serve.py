"""`nightdesk serve`: web page and ingest in one process."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import click
import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from server.app import make_app
from server.cli.output import data_option, table
from server.cli.user import login_link
from server.config import Config, load
from server.dsn import project_row
from server.house import House
from server.moments import require_set_clock
from server.operating import logs
from server.operating.memory import settle
from server.operating.presence import announced, crowd, servers
from server.operating.self_watch import watched
from server.serving import environment
from store import queries
from store.errors import Unavailable


@click.command()
@click.option("--host", default=None, help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=None,
    help="Port to listen on; 0 takes a free one.  [default: 8731]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 32),
    default=1,
    show_default=True,
    help="Processes that answer; each does background work too.",
)
@data_option
def command(host: str | None, port: int | None, workers: int, data: Path | None) -> None:
    """Serve the web page and take events, until interrupted."""
    config = load(data, overrides={"host": host, "port": port})
    logs.configure(config.log_format)
    require_set_clock()
    with _listen(config.host, config.port) as listener:
        config = config.model_copy(update={"port": listener.getsockname()[1]})
        others = servers(config.data)
        with House.open(config) as house, announced(config.data, config.address):
            if others:
                click.echo(f"nightdesk: {crowd([*others, config.address])}", err=True)
            click.echo(welcome(house))
            if workers == 1:
                app = make_app(house)
                settle()
                with watched(house):
                    uvicorn.Server(_settings(app)).run(sockets=[listener])
                return
            os.environ.update(environment(config))
            settings = _settings("server.serving:application", factory=True, workers=workers)
            Multiprocess(settings, sockets=[listener]).run()


def _settings(app: Starlette | str, **options: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        proxy_headers=False,  # pages trust the peer's address: no header may change it
        server_header=False,
        timeout_graceful_shutdown=10,
        **options,
    )


def welcome(house: House) -> str:
    """What to do next: the DSN of each project, the page, the line that connects an assistant, a link to log in."""
    config: Config = house.config
    rows = [project_row(house, project) for project in queries.projects(house.database)]
    dsns = [[f"DSN of {row['name']}", row["dsn"] or "no key; `nightdesk key add` makes one"] for row in rows]
    link, _ = login_link(house, None, config.address)
    return table(
        [
            *dsns,
            ["Page", config.address + "/"],
            ["Assistants", f"claude mcp add --transport http nightdesk {config.address}/mcp"],
            ["Log in, once", link],
        ]
    )


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Unavailable when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)  # whoever comes while the rest is being set up waits, and is not refused
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"Cannot listen on {host}:{port}: {error.strerror}. Choose another with --port."
        ) from error
    return listener
