"""A client of the API with its key, for commands; HTTP errors become errors of `shared.errors`."""

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import msgspec

from driftgauge.shared.errors import (
    BadData,
    ConfigurationError,
    DriftgaugeError,
    ServiceUnavailable,
)
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.settings import Settings

TIMEOUT_S: Final = 60.0
"""Longest wait for an answer, in seconds."""
SHOWN: Final = 5
"""Most faults of a refused request that the error names."""


def authorization(settings: Settings) -> dict[str, str]:
    """Return the header that carries the API key, if there is one.

    Raises
    ------
    ConfigurationError
        If the key has characters that a header cannot have.
    """
    if settings.api_key is None:
        return {}
    key = settings.api_key.get_secret_value()
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError("DRIFTGAUGE_API_KEY is no key: it has characters that no key has.")
    return {"Authorization": f"Bearer {key}"}


def api_client(url: str, settings: Settings) -> httpx.AsyncClient:
    """Make a client of the API at an address, with the key of the settings."""
    return httpx.AsyncClient(base_url=url, headers=authorization(settings), trust_env=False)


async def fetch_schema(client: httpx.AsyncClient, model: str) -> Schema:
    """Ask the API for a model's schema; raises as `ask` does."""
    answer = await ask(client, "GET", "/model-info", params={"model": model})
    return msgspec.convert(answer["schema"], Schema)


async def ask(
    client: httpx.AsyncClient,
    method: str,
    path: str,
    absent: type[DriftgaugeError] = BadData,
    **more: Any,
) -> Any:
    """Send a request and return the JSON of its answer; its errors become ours.

    Parameters
    ----------
    absent
        The error that a 404 becomes.
    more
        Further arguments of `httpx.AsyncClient.request`.

    Raises
    ------
    ServiceUnavailable
        If nothing answers, or the API answers with a server error (5xx).
    BadData
        If the API refuses the request (4xx).
    """
    try:
        answer = await client.request(method, path, timeout=TIMEOUT_S, **more)
    except httpx.HTTPError as error:
        raise _unavailable(client, error) from error
    if answer.is_success:
        return answer.json()
    raise refusal(answer, absent)


async def follow(
    client: httpx.AsyncClient,
    path: str,
    after: str | None = None,
    absent: type[DriftgaugeError] = BadData,
    **params: str,
) -> AsyncIterator[tuple[str, str]]:
    """Follow a stream of server-sent events until it ends or breaks, which may be resumed.

    Parameters
    ----------
    after
        Position behind which to begin; None begins now.
    absent
        The error that a 404 becomes.
    params
        The query.

    Yields
    ------
    tuple
        The position, for `after`, and the event's data; empty in the first one, which only says
        that the stream is open.

    Raises
    ------
    ServiceUnavailable
        If nothing answers, or the API cannot now.
    BadData
        If the API refuses it.
    """
    headers = {} if after is None else {"Last-Event-ID": after}
    position, opened = after or "", False
    try:
        async with client.stream(
            "GET", path, headers=headers, params=params, timeout=TIMEOUT_S
        ) as answer:
            if not answer.is_success:
                await answer.aread()
                raise refusal(answer, absent)
            data: list[str] = []
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    position = value
                elif name == "data":
                    data.append(value)
                elif not line and (data or not opened):
                    opened = True
                    yield position, "\n".join(data)
                    data = []
    except httpx.HTTPError as error:
        if not opened:
            raise _unavailable(client, error) from error


def refusal(answer: httpx.Response, absent: type[DriftgaugeError] = BadData) -> DriftgaugeError:
    """Return the error that an answer tells of; its body was read."""
    url, method = answer.request.url, answer.request.method
    where = f"{url.scheme}://{url.netloc.decode()}"
    kind = {404: absent}.get(answer.status_code, BadData)
    if answer.status_code >= 500:
        kind = ServiceUnavailable
    return kind(f"{where} answered {answer.status_code} to {method} {url.path}: {_detail(answer)}")


def _unavailable(client: httpx.AsyncClient, error: httpx.HTTPError) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"No API at {client.base_url} ({type(error).__name__}). Start one with `driftgauge up` or "
        "`driftgauge serve`, or name it with --url or DRIFTGAUGE_API_URL; `driftgauge doctor` "
        "looks for more."
    )


def _detail(answer: httpx.Response) -> str:
    try:
        document = answer.json()
        faults = [
            f"{fault['field']} {fault['message']}" for fault in document.get("errors", [])[:SHOWN]
        ]
        return " ".join([str(document["detail"]), "; ".join(faults)]).strip()
    except (ValueError, KeyError, TypeError, AttributeError):  # not our API's answer
        return answer.text[:200]
