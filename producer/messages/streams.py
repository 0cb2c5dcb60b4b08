"""Where messages are: the streams in Redis, what the API sends and takes, and the webhooks."""

from dataclasses import dataclass
from typing import Final, Literal

from driftgauge.producer.messages.kinds import PAGES
from driftgauge.shared.contract.keys import Keys

KEYS: Final = Keys("{prefix}")
M: Final = "{model}"
"""A model's tag. In Redis the braces stand there: it is what the keys of a model share."""
PARTITION: Final = "{partition}"
ROUTE: Final = "{route}"

LOG: Final = (
    "What happened to a partition, in one order. Fields of an entry: `t` is the type (`p` "
    "prediction, `l` label, `f` failure, `q` request, `a` response, `v` void, `r` reference "
    "change, `k` a tick, which has no other field, `d` a message of another log that cannot be "
    "used), `p` the publisher, `s` its number, `e` the content in JSON."
)
EVENT: Final = "Field `e` of an entry is the CloudEvent in JSON."
PANES: Final = (
    "Closed panes, alarms, watermarks and labels that came late, from counting to judging: field "
    "`b` of an entry, in MessagePack. They are of one release and no interface."
)


@dataclass(frozen=True)
class Stream:
    """A stream of messages.

    Parameters
    ----------
    name
        Its name in the document.
    address
        Key in Redis or path in the API; empty where a setting names it.
    says
        What it is, in a sentence or some.
    messages
        Names of the kinds; empty for what is binary.
    action
        Whether Driftgauge sends or receives it.
    server
        Where it is.
    """

    name: str
    address: str
    says: str
    messages: tuple[str, ...]
    action: Literal["send", "receive"] = "send"
    server: Literal["redis", "api", ""] = "redis"


def _of_model(key: str) -> str:
    """Return a key with its tag as a parameter."""
    return key.replace("{" + M + "}", M)


def _of_partition(key: str) -> str:
    return key.replace("{" + M + ".0}", PARTITION)


STREAMS: Final = (
    Stream(
        "log",
        _of_partition(KEYS.log(M, 0)),
        LOG,
        ("prediction", "label", "failure", "request", "response", "void", "reference-change"),
        "receive",
    ),
    Stream("panes", _of_partition(KEYS.panes(M, 0)), PANES, ()),
    Stream("hours", _of_partition(KEYS.rollups(M, 0, "hour")), f"Sums of an hour. {PANES}", ()),
    Stream("days", _of_partition(KEYS.rollups(M, 0, "day")), f"Sums of a day. {PANES}", ()),
    Stream(
        "uncounted",
        _of_partition(KEYS.dead(M, 0)),
        "Entries of the log that could not be counted; their fields stand beside the reason.",
        ("dead-letter",),
    ),
    Stream(
        "passed-over",
        _of_partition(KEYS.uncounted(M, 0)),
        "Which entries of the log counting passed without counting them, repeated or unusable: "
        "field `ids` of an entry, with blanks between them; `refused` has the reasons of those "
        "that are unusable. For the archive alone.",
        (),
    ),
    Stream(
        "unjudged",
        _of_model(KEYS.judge_dead(M)),
        "Entries that judging, or what follows it, could not use.",
        ("dead-letter",),
    ),
    Stream(
        "commands",
        _of_model(KEYS.commands(M)),
        "What people ask judging for: field `c` of an entry, in JSON.",
        ("command",),
        "receive",
    ),
    Stream("alerts", _of_model(KEYS.alerts(M)), f"Alerts. {EVENT}", ("alert-event",)),
    Stream("incidents", _of_model(KEYS.incidents(M)), f"Incidents. {EVENT}", ("incident-event",)),
    Stream("snapshots", _of_model(KEYS.snapshots(M)), f"Snapshots. {EVENT}", ("snapshot-event",)),
    Stream(
        "refused-messages",
        KEYS.route_dead(ROUTE).replace("{@" + ROUTE + "}", ROUTE),
        "What the target of a route of notifications refused, or did not take for too long.",
        ("refused-message",),
    ),
    Stream(
        "followed-alerts",
        "/alerts/stream",
        "Alerts as server-sent events: `event` is `alert`, `data` the CloudEvent, `id` where to go "
        "on.",
        ("api-alert-event",),
        server="api",
    ),
    Stream(
        "followed-incidents",
        "/incidents/stream",
        "Incidents as server-sent events: `event` is `incident`, `data` the CloudEvent, `id` where "
        "to go on.",
        ("api-incident-event",),
        server="api",
    ),
    Stream(
        "pages",
        "/dashboard/events",
        "What the dashboard's pages listen to, as server-sent events: `event` is `beat`, `state`, "
        "`serving`, `current`, `snapshot` or `alert`. It is the pages' own and no interface.",
        (*(kind.name for kind in PAGES), "alert-event"),
        server="api",
    ),
    Stream(
        "exchanges",
        "/cloudevents",
        "Requests and answers that a model server logs, as CloudEvents over HTTP.",
        ("exchange",),
        "receive",
        "api",
    ),
    Stream(
        "webhooks",
        "",
        "Incidents that a route of notifications posts to a webhook, as CloudEvents in the "
        "structured form.",
        ("incident-event",),
        server="",
    ),
)
