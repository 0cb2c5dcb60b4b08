"""Opens the worker's port, if it is to have one."""

import logging
from collections.abc import Callable

from driftgauge.consumer.metrics.port import Port, Teller
from driftgauge.consumer.metrics.standing import Stands
from driftgauge.shared.access.key_ring import KeyRing
from driftgauge.shared.access.listening import is_loopback, listen
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.settings import Settings

log = logging.getLogger("driftgauge.worker")


def open_port(
    settings: Settings, standing: Callable[[], Stands], *, insecure: bool = False
) -> Port | None:
    """Listen where the settings say, and answer from a thread; None if they say nowhere.

    Parameters
    ----------
    insecure
        Whether other machines may read without a key.

    Raises
    ------
    ConfigurationError
        If the port is in use, or others than this machine could read without a key.
    """
    if not settings.worker_port:
        return None
    ring = KeyRing(settings.keys_path, required=settings.keys_required)
    check(settings.worker_host, keys=ring.held is not None, insecure=insecure)
    port = Port(
        listen(settings.worker_host, settings.worker_port),
        Teller(standing, ring, settings.host_names),
    )
    log.info(
        "The worker tells its metrics on http://%s:%d/metrics.",
        f"[{settings.worker_host}]" if ":" in settings.worker_host else settings.worker_host,
        settings.worker_port,
    )
    port.start()
    return port


def check(host: str, *, keys: bool, insecure: bool) -> None:
    """Refuse to listen where others could read, unless they need keys or are meant to."""
    if is_loopback(host) or keys or insecure:
        return
    raise ConfigurationError(
        f"{host} can be reached from other machines, and there are no keys: anybody could read the "
        f"worker's metrics. Make one with `driftgauge keys create NAME --scope read`, listen on "
        f"127.0.0.1, or say --insecure if something in front of it protects it (a container's "
        f"network)."
    )
