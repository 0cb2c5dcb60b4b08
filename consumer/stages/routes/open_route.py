"""A route with its target, which is built anew when its words change, or one of its secrets."""

import logging

from driftgauge.consumer.notifying.routes import Route
from driftgauge.consumer.notifying.routing.choosing import Traits
from driftgauge.consumer.notifying.secrets import secrets_of
from driftgauge.consumer.stages.routes.sender import Draw, Sender
from driftgauge.shared.errors import ConfigurationError

log = logging.getLogger("driftgauge.worker")


class OpenRoute:
    """The route that a stage serves.

    Parameters
    ----------
    name
        Name of the stage, for the log.
    public_url, draw
        As for the sender.

    Attributes
    ----------
    route
        The route; None without one.
    sender
        What sends to its target; None as long as none was built.
    traits
        What the target can do.
    """

    def __init__(self, name: str, public_url: str, draw: Draw) -> None:
        self._name, self._public_url, self._draw = name, public_url, draw
        self._secrets: tuple[str, ...] = ()
        self._fault = ""
        self.route: Route | None = None
        self.sender: Sender | None = None
        self.traits = Traits()

    def open(self, route: Route | None) -> None:
        """Build the target of a route, unless it is there and the route is as before."""
        if route != self.route:
            self.close()
        self.route = route
        if route is not None and self.sender is None:
            self._build(route)

    def renew(self) -> None:
        """Build the target anew if a secret is another one by now. If that cannot be used, what is
        there goes on. Nothing may be on its way.
        """
        route, before = self.route, self.sender
        if route is None or before is None:
            return
        try:
            if secrets_of(route.target) == self._secrets:
                return
            self._build(route)
        except ConfigurationError as error:
            if str(error) != self._fault:
                log.warning("%s: the secrets of before go on. %s", self._name, error)
            self._fault = str(error)
            return
        log.info("%s: a secret is another one now.", self._name)
        self._fault = ""
        before.close()

    def close(self) -> None:
        """Release the target."""
        if self.sender is not None:
            self.sender.close()
            self.sender = None

    def _build(self, route: Route) -> None:
        from driftgauge.consumer.notifying.targets.building import build  # an HTTP client

        self._secrets = secrets_of(route.target)
        target = build(route.target)
        self.traits = Traits(target.in_place, target.beat_s)
        self.sender = Sender(self._name, target, self._public_url, self._draw)
