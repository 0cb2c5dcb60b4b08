"""Microsoft Teams by the webhook of a workflow ("When a Teams webhook request is received").

Each change that people are told of is a card of its own: a workflow says nothing of what it posted.
It answers before it has posted, so that its later failure is seen in its own history only.
"""

import msgspec

from driftgauge.consumer.notifying.choices import Teams
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.post import post
from driftgauge.consumer.notifying.rendering.teams import as_teams
from driftgauge.consumer.notifying.rendering.telling import tell
from driftgauge.consumer.notifying.secrets import secret_of
from driftgauge.consumer.notifying.targets.base import Target


class TeamsTarget(Target):
    """Posts cards to the channel or chat of a workflow."""

    def __init__(self, choice: Teams) -> None:
        self._address = secret_of(choice, "url")

    def send(self, message: Message, receipt: str) -> str:  # noqa: ARG002  nothing to change
        """Post a card."""
        content = as_teams(tell(message))
        post(self._address, msgspec.json.encode(content), {"Content-Type": "application/json"})
        return ""
