"""Whether the routes of a policy file can be used here: their secrets are there, and what their
targets need is installed.
"""

from collections.abc import Sequence

from driftgauge.consumer.notifying.routes import Place, Route
from driftgauge.consumer.notifying.secrets import Missing, secrets_of
from driftgauge.shared.errors import ConfigurationError, PolicyRefused
from driftgauge.shared.policies.lines import line_of


def require(routes: Sequence[Route], text: bytes, name: str) -> None:
    """Check that the targets of all routes can be built.

    Parameters
    ----------
    text, name
        The policy file, and its name for the error.

    Raises
    ------
    PolicyRefused
        If a secret is missing or cannot be used, or a package is missing; the message says which
        route, at which line.
    """
    if routes:
        _require(routes, text, name)


def _require(routes: Sequence[Route], text: bytes, name: str) -> None:
    from driftgauge.consumer.notifying.targets.building import build  # it loads an HTTP client

    for number, route in enumerate(routes):
        place: Place = ("routes", number)
        try:
            secrets_of(route.target)
            build(route.target).close()
        except Missing as error:
            where = (*place, "target", error.field)
            reason = f"the route {route.name!r} {error.reason}"
            raise PolicyRefused(name, line_of(text, where), reason) from error
        except ConfigurationError as error:
            reason = f"the route {route.name!r}: {str(error).rstrip('.')}"
            raise PolicyRefused(name, line_of(text, (*place, "target")), reason) from error
