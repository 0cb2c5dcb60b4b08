"""Slack by an incoming webhook: each change that people are told of is a message of its own, since
a webhook does not say which message it posted.
"""

import msgspec

from driftgauge.consumer.notifying.choices import SlackWebhook
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.post import post
from driftgauge.consumer.notifying.rendering.slack import as_slack
from driftgauge.consumer.notifying.rendering.telling import tell
from driftgauge.consumer.notifying.secrets import secret_of
from driftgauge.consumer.notifying.targets.base import Target


class SlackWebhookTarget(Target):
    """Posts to the channel of a webhook."""

    def __init__(self, choice: SlackWebhook) -> None:
        self._address = secret_of(choice, "url")

    def send(self, message: Message, receipt: str) -> str:  # noqa: ARG002  nothing to change
        """Post a message."""
        content = as_slack(tell(message))
        post(self._address, msgspec.json.encode(content), {"Content-Type": "application/json"})
        return ""
