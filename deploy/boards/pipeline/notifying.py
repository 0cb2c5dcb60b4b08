"""Whether people are told."""

from typing import Final

from deploy.boards.board import Row
from deploy.boards.panels import Panel, Query
from deploy.boards.pipeline.queries import RATE


def _routes(metric: str) -> str:
    """Return the expression of a gauge of each route, which every API process tells alike."""
    return f"max by (route) ({metric})"


NOTIFYING: Final = Row(
    "Notifications",
    (
        Panel(
            title="Routes that fail",
            description="Routes whose target did not take the last message: people may not be "
            "told.",
            queries=[
                Query(f"sum({_routes('driftgauge_notifications_failing')}) or vector(0)", "routes")
            ],
            kind="stat",
            limits=(1, 1),
            width=4,
        ),
        Panel(
            title="Messages",
            description="Messages that targets took, that they refused, and attempts that failed "
            "and were repeated.",
            queries=[
                Query(
                    f"max by (route, outcome) (rate(driftgauge_notifications_total{RATE}))",
                    "{{route}}: {{outcome}}",
                )
            ],
            unit="cps",
            width=10,
        ),
        Panel(
            title="Waiting messages",
            description="How long the oldest message of each route waits for its target alone. "
            "Messages that wait for the end of quiet hours are none of them.",
            queries=[
                Query(_routes("driftgauge_notifications_overdue_seconds"), "{{route}}"),
            ],
            unit="s",
            width=10,
        ),
        Panel(
            title="Incidents with news to tell",
            description="Incidents of which a route has not told the latest yet, also since it is "
            "quiet.",
            queries=[Query(_routes("driftgauge_notifications_waiting"), "{{route}}")],
        ),
        Panel(
            title="Since the last message",
            description="Time since the target of each route last took a message. Long is well "
            "where there is nothing to tell.",
            queries=[
                Query(
                    f"time() - {_routes('driftgauge_notification_success_timestamp_seconds')}",
                    "{{route}}",
                )
            ],
            unit="s",
        ),
    ),
)
