"""A client of the API: its key, its errors as ours. For the commands that post to a running API."""

from typing import Any, Final

import httpx
import msgspec

from driftgauge.shared.errors import BadData, ConfigurationError, ServiceUnavailable
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.settings import Settings

TIMEOUT_S: Final = 60.0
SHOWN: Final = 5
"""Faults of a refused request that are told."""


def authorization(settings: Settings) -> dict[str, str]:
    """Give the header that carries the API key, if there is one.

    Raises
    ------
    ConfigurationError
        If the key cannot stand in a header.
    """
    if settings.api_key is None:
        return {}
    key = settings.api_key.get_secret_value()
    if not (key.isascii() and key.isprintable()):
        raise ConfigurationError("DRIFTGAUGE_API_KEY is no key: it has characters that no key has.")
    return {"Authorization": f"Bearer {key}"}


async def fetch_schema(client: httpx.AsyncClient, model: str) -> Schema:
    """Ask the API for a model's schema."""
    answer = await ask(client, "GET", "/model-info", params={"model": model})
    return msgspec.convert(answer["schema"], Schema)


async def ask(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> Any:
    """Send a request; its errors become ours.

    Raises
    ------
    ServiceUnavailable
        If nothing answers, or the API cannot now.
    BadData
        If the API refuses it.
    """
    try:
        answer = await client.request(method, path, timeout=TIMEOUT_S, **more)
    except httpx.HTTPError as error:
        raise ServiceUnavailable(
            f"No API at {client.base_url} ({type(error).__name__}). Start one with `driftgauge "
            f"serve`, or name it with "
            "--url."
        ) from error
    if answer.is_success:
        return answer.json()
    raise refusal(answer)


def refusal(answer: httpx.Response) -> BadData | ServiceUnavailable:
    """Give the error that an answer tells of; its body was read."""
    url = answer.request.url
    detail = f"{url.scheme}://{url.netloc.decode()} answered {answer.status_code} to {answer.request.method} {url.path}: "
    kind = ServiceUnavailable if answer.status_code >= 500 else BadData
    return kind(detail + _detail(answer))


def _detail(answer: httpx.Response) -> str:
    try:
        document = answer.json()
        faults = [
            f"{fault['field']} {fault['message']}" for fault in document.get("errors", [])[:SHOWN]
        ]
        return " ".join([str(document["detail"]), "; ".join(faults)]).strip()
    except (ValueError, KeyError, TypeError, AttributeError):  # not our API's answer
        return answer.text[:200]
