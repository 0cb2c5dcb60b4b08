"""A client of the API, for the commands that post to a running one; it translates the errors."""

from typing import Any, Final

import httpx
import msgspec

from driftgauge.shared.errors import BadData, ConfigurationError, ServiceUnavailable
from driftgauge.shared.reference.schema import Schema
from driftgauge.shared.settings import Settings

TIMEOUT_S: Final = 60.0
"""Longest wait for an answer, in seconds."""
SHOWN: Final = 5
"""Most faults of a refused request that the error names."""


def authorization(settings: Settings) -> dict[str, str]:
    """Return the HTTP header with the API key of the settings; empty without a key.

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


async def fetch_schema(client: httpx.AsyncClient, model: str) -> Schema:
    """Ask the API for a model's schema; raises as `ask` does."""
    answer = await ask(client, "GET", "/model-info", params={"model": model})
    return msgspec.convert(answer["schema"], Schema)


async def ask(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> Any:
    """Send a request and return the JSON of the answer.

    Parameters
    ----------
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
        raise ServiceUnavailable(
            f"No API at {client.base_url} ({type(error).__name__}). Start one with `driftgauge "
            f"serve`, or name it with --url."
        ) from error
    if answer.is_success:
        return answer.json()
    raise refusal(answer)


def refusal(answer: httpx.Response) -> BadData | ServiceUnavailable:
    """Return the error for an answer that is no success; the answer's body must have been read."""
    url, method = answer.request.url, answer.request.method
    kind = ServiceUnavailable if answer.status_code >= 500 else BadData
    return kind(
        f"{url.scheme}://{url.netloc.decode()} answered {answer.status_code} to {method} "
        f"{url.path}: {_detail(answer)}"
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
