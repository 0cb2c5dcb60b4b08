"""The targets, a file each, built from their configuration: a target's library is imported when
one of its kind is built.
"""

from driftgauge.consumer.notifying import choices
from driftgauge.consumer.notifying.targets.base import Target


def build(choice: choices.Choice) -> Target:
    """Build a target; its secrets are read now.

    Raises
    ------
    ConfigurationError
        If a secret is missing, or an address cannot be used.
    NotInstalled
        If its library is not installed.
    """
    match choice:
        case choices.Webhook():
            from driftgauge.consumer.notifying.targets.webhook import WebhookTarget

            return WebhookTarget(choice)
        case choices.Alertmanager():
            from driftgauge.consumer.notifying.targets.alertmanager import AlertmanagerTarget

            return AlertmanagerTarget(choice)
