"""Everything else, by Apprise: over a hundred services, each by an address of its own form.

Apprise says whether a message was sent, and not why it was not: so each failure is tried again. It
connects by itself, to what the operator's address names, with limits of time of its own. Some of
its services take plain text for Markdown or look for mentions in it: so the characters by which
these begin are shown as similar ones.
"""

import logging
from dataclasses import replace

from driftgauge.consumer.notifying.choices import Apprise
from driftgauge.consumer.notifying.message import Message
from driftgauge.consumer.notifying.rendering.telling import tell
from driftgauge.consumer.notifying.rendering.text import as_text, inert
from driftgauge.consumer.notifying.secrets import secret_of
from driftgauge.consumer.notifying.targets.base import Later, Target
from driftgauge.shared.errors import ConfigurationError
from driftgauge.shared.extras import needs


class AppriseTarget(Target):
    """Sends messages to the services of one or more addresses."""

    pictures = True

    def __init__(self, choice: Apprise) -> None:
        with needs("apprise"):
            import apprise
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # its lines hold addresses
        self._services = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Driftgauge"))
        for address in secret_of(choice, "url").split():
            if not self._services.add(address):
                raise ConfigurationError(
                    "Apprise does not know the form of the address of a target, or needs another "
                    "package for it; see the list of its services."
                )

    def send(self, message: Message, receipt: str) -> str:  # noqa: ARG002  nothing to change
        """Send a message to all services."""
        telling = tell(message)
        kind = {"critical": "failure", "warning": "warning", "over": "success"}[telling.mood]
        picture = None
        if message.picture is not None:
            from apprise.attachment.memory import AttachMemory

            picture = AttachMemory(message.picture, name="drift.png", mimetype="image/png")
        try:
            sent = self._services.notify(
                body=f"{inert(as_text(replace(telling, link='')))}\n\n{telling.link}".strip(),
                title=inert(telling.title),
                notify_type=kind,
                body_format="text",
                attach=picture,
            )
        except Exception as error:  # noqa: BLE001  a service's own fault; its words may quote the address
            raise Later(f"Apprise failed ({type(error).__name__})", maybe_taken=True) from None
        if not sent:
            raise Later("Apprise says that it was not sent", maybe_taken=True)  # by one of several
        return ""
