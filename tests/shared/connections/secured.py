"""A server that speaks only TLS, and asks its clients for certificates."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from driftgauge.shared.local.processes import reserved_port
from tests.integration.plant import wait_for
from tests.shared.connections.certificates import Authority
from tests.shared.local.servers import ServerOf

HOST = "127.0.0.1"
SERVICE = "main"


@dataclass(frozen=True)
class Secured:
    """A server with TLS.

    Parameters
    ----------
    authority
        It has signed the certificates of server and clients.
    certificate
        File of a client's certificate, and of its key.
    server
        The same server by its unix socket, without TLS.
    """

    authority: Authority
    certificate: tuple[Path, Path]
    port: int
    server: ServerOf

    @property
    def query(self) -> str:
        """The options of an address with which it can be reached."""
        file, key = self.certificate
        return f"ssl_ca_certs={self.authority.path}&ssl_certfile={file}&ssl_keyfile={key}"


def binary() -> str:
    """Return a server that has TLS; skip the test where there is none."""
    found = shutil.which("redis-server")
    asked = [found or "", "--port", "0", "--tls-port", "1", "--tls-cert-file", "/nowhere"]
    if found is not None:
        said = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=10)
        if "Failed to configure TLS" in said.stdout:
            return found
    pytest.skip("the redis-server here has no TLS")


def lines_of(authority: Authority, *hosts: str) -> list[str]:
    """Return the lines of a server's configuration: its certificate is of these hosts."""
    certificate, key = authority.issue("server", *hosts)
    files = {"cert-file": certificate, "key-file": key, "ca-cert-file": authority.path}
    return [word for name, path in files.items() for word in (f"--tls-{name}", str(path))]


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """Run a server with a certificate of 127.0.0.1 and localhost; it listens on 127.0.0.2 too."""
    with ExitStack() as stack:
        port = stack.enter_context(reserved_port(24_000, HOST))
        authority = Authority(folder / "authority", "ours")
        lines = lines_of(authority, HOST, "localhost")
        lines += ["--tls-port", str(port), "--bind", HOST, "127.0.0.2"]
        server = stack.enter_context(ServerOf(folder / "redis", binary(), *lines))
        yield Secured(authority, authority.issue("client"), port, server)


@contextmanager
def secured_sentinel(folder: Path, primary: Secured) -> Iterator[int]:
    """Run a Sentinel that speaks only TLS, too; give its port."""
    with reserved_port(primary.port + 100, HOST) as port:
        file = folder / "sentinel.conf"
        file.write_text(f"dir {folder}\nsentinel monitor {SERVICE} {HOST} {primary.port} 1\n")
        lines = lines_of(primary.authority, HOST)
        command = [binary(), str(file), "--sentinel", "--port", "0", "--tls-port", str(port)]
        command += [*lines, "--tls-replication", "yes"]
        with (folder / "sentinel.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(lambda: _watches(primary, port), "the Sentinel")
            yield port
        finally:
            process.kill()
            process.wait()


def _watches(primary: Secured, port: int) -> bool:
    file, key = map(str, primary.certificate)
    client = redis.Redis(
        HOST,
        port,
        protocol=2,
        ssl=True,
        ssl_ca_certs=str(primary.authority.path),
        ssl_certfile=file,
        ssl_keyfile=key,
    )
    try:
        told: Any = client.sentinel_master(SERVICE)
    except redis.RedisError:
        return False
    finally:
        client.close()
    return bool(told["flags"] == "master")  # and not one that is disconnected, or down
