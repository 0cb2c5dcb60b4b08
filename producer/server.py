"""The HTTP server of the API: one uvicorn process that stops promptly, open subscriptions
included.
"""

import asyncio
import faulthandler
import gc
import logging
import os
import socket
from functools import partial
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from driftgauge.producer.app import create_app
from driftgauge.producer.http.connections import RESERVED, raise_file_limit
from driftgauge.producer.http.forwarded import Forwarded
from driftgauge.producer.http.protocol import BoundedProtocol
from driftgauge.producer.parts import Parts
from driftgauge.shared.access.key_file import read_keys
from driftgauge.shared.access.listening import is_loopback, listen
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.otel.beginning import begin
from driftgauge.shared.settings import Settings

GRACEFUL_S = 5
GIVE_UP_S = 3
"""Seconds after which requests that still wait for a model are answered 503 at the end."""
EXIT_S = 20
"""Seconds after which the process ends, whatever still runs; the stack of each thread is printed
then. Without a thread that hangs in between, everything is answered and flushed long before.
"""
KEEP_ALIVE_S = 75
"""Seconds that an idle connection stays open: longer than load balancers keep it, so that they
close it first.
"""

BACKLOG = RESERVED // 2
"""Connections that wait to be accepted: all of them may be taken at once, before any is ended."""

LOOPBACK = "127.0.0.1"
"""Proxies that are trusted by default."""

logger = logging.getLogger("driftgauge.producer")


class Server(uvicorn.Server):
    """Ends the subscriptions first, since uvicorn waits for open answers, and ends itself."""

    def __init__(self, config: uvicorn.Config, parts: Parts) -> None:
        super().__init__(config)
        self._parts = parts

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        # models and libraries stay: the collector need not look at them again and again
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end at a signal, at the start too; and end in time, whatever hangs."""
        # from a thread of C, that needs no interpreter: a model may hold on to it
        faulthandler.dump_traceback_later(EXIT_S, exit=True)
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        asyncio.get_running_loop().call_later(GIVE_UP_S, self._parts.scorer.give_up)
        self._parts.subscriptions.end()
        self._parts.incidents.end()
        self._parts.feed.end()
        await super().shutdown(sockets)


def make_server(app: FastAPI) -> Server:
    """Build the server of an app that `create_app` made."""
    parts: Parts = app.state.parts
    forwarded = Forwarded(app, os.environ.get("FORWARDED_ALLOW_IPS", LOOPBACK))
    protocol: Any = partial(
        BoundedProtocol, bounds=parts.connections, trusted=forwarded.trusted
    )  # uvicorn calls it as it calls a class
    config = uvicorn.Config(
        forwarded,
        http=protocol,
        ws="none",
        backlog=BACKLOG,
        proxy_headers=False,  # ours does it too
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACEFUL_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        server_header=False,
    )
    return Server(config, parts)


def serve(settings: Settings, *, insecure: bool = False) -> None:
    """Serve until a signal ends it.

    Raises
    ------
    ConfigurationError
        If others than this machine could reach the API, or the port is in use.
    """
    check_host(settings.host, insecure=insecure, keys=read_keys(settings.keys_path) is not None)
    listener = listen(settings.host, settings.port)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    logger.info("The API listens on http://%s:%d (documentation: /docs).", host, settings.port)
    raise_file_limit(settings.max_connections)
    with listener:
        make_server(create_app(settings, begin(os.environ, "driftgauge-api"))).run(
            sockets=[listener]
        )


def check_host(host: str, *, insecure: bool, keys: bool) -> None:
    """Refuse to listen where others could post, unless they need keys."""
    if is_loopback(host):
        return
    if keys:
        logger.warning(
            "The API listens on %s by plain HTTP: put TLS in front of it, since keys are sent as "
            "they are.",
            host,
        )
        return
    if not insecure:
        raise ConfigurationError(
            f"{host} can be reached from other machines, and the API has no keys: anybody could "
            f"post predictions. Make one "
            "with `driftgauge keys create NAME --scope predict`, listen on 127.0.0.1, or say "
            "--insecure if something in "
            "front of it protects it (a container's network)."
        )
    logger.warning(
        "The API listens on %s without keys: whoever reaches it can post predictions and read "
        "alerts.",
        host,
    )
