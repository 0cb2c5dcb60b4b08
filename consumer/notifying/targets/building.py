"""A target from its configuration."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from driftgauge.consumer.notifying import choices
from driftgauge.consumer.notifying.targets.alertmanager import AlertmanagerTarget
from driftgauge.consumer.notifying.targets.apprise import AppriseTarget
from driftgauge.consumer.notifying.targets.base import Target
from driftgauge.consumer.notifying.targets.discord import DiscordTarget
from driftgauge.consumer.notifying.targets.mail import MailTarget
from driftgauge.consumer.notifying.targets.opsgenie import OpsgenieTarget
from driftgauge.consumer.notifying.targets.pagerduty import PagerDutyTarget
from driftgauge.consumer.notifying.targets.slack import SlackTarget
from driftgauge.consumer.notifying.targets.slack_webhook import SlackWebhookTarget
from driftgauge.consumer.notifying.targets.teams import TeamsTarget
from driftgauge.consumer.notifying.targets.webhook import WebhookTarget

TARGETS: Final[Mapping[type[choices.Choice], Callable[[Any], Target]]] = {
    choices.Alertmanager: AlertmanagerTarget,
    choices.Apprise: AppriseTarget,
    choices.Discord: DiscordTarget,
    choices.Mail: MailTarget,
    choices.Opsgenie: OpsgenieTarget,
    choices.PagerDuty: PagerDutyTarget,
    choices.Slack: SlackTarget,
    choices.SlackWebhook: SlackWebhookTarget,
    choices.Teams: TeamsTarget,
    choices.Webhook: WebhookTarget,
}
"""What makes the target of each kind of choice, and of no other."""


def build(choice: choices.Choice) -> Target:
    """Build a target; its secrets are read now.

    Raises
    ------
    ConfigurationError
        If a secret is missing, or an address cannot be used.
    NotInstalled
        If its library is not installed.
    """
    return TARGETS[type(choice)](choice)
