"""The kinds of target as the policy file says them: `[routes.target]` with a `type`. Pure."""

from driftgauge.consumer.notifying.choices.anything import Apprise
from driftgauge.consumer.notifying.choices.chats import Discord, Slack, SlackWebhook, Teams
from driftgauge.consumer.notifying.choices.hooks import Alertmanager, Webhook
from driftgauge.consumer.notifying.choices.mail import Mail
from driftgauge.consumer.notifying.choices.pagers import Opsgenie, PagerDuty

Choice = (
    Webhook
    | Alertmanager
    | Slack
    | SlackWebhook
    | Teams
    | Discord
    | PagerDuty
    | Opsgenie
    | Mail
    | Apprise
)
"""All kinds; a new one is added here, and in `targets.build`."""

__all__ = [
    "Alertmanager",
    "Apprise",
    "Choice",
    "Discord",
    "Mail",
    "Opsgenie",
    "PagerDuty",
    "Slack",
    "SlackWebhook",
    "Teams",
    "Webhook",
]
