"""`driftgauge bridge`."""

import signal
import threading
from pathlib import Path
from typing import Any

import click

from driftgauge.shared.errors import BadData
from driftgauge.shared.local.finding import located_settings


@click.group()
def bridge() -> None:
    """Carry what another log holds to ours, each message once."""


@bridge.command()
@click.option("--brokers", help="Addresses of brokers, separated by commas.")
@click.option("--topic", "topics", multiple=True, help="Topic of predictions; repeatable.")
@click.option("--labels-topic", "label_topics", multiple=True, help="Topic of labels; repeatable.")
@click.option("--model", required=True, help="Model that the messages are about.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Settings of librdkafka, `name=value` a line: security, group.id and the like.",
)
@click.option("--schema-registry", help="Address of the registry of Avro schemas.")
@click.option("--from-end", is_flag=True, help="Read a topic that was never read from its end on.")
@click.option("--until-end", is_flag=True, help="Stop when all that is there now is written.")
def kafka(
    brokers: str | None,
    topics: tuple[str, ...],
    label_topics: tuple[str, ...],
    model: str,
    config: Path | None,
    schema_registry: str | None,
    *,
    from_end: bool,
    until_end: bool,
) -> None:
    """Carry the messages of Kafka's topics; start any number of them."""
    from driftgauge.consumer.bridging.decoding import AvroDecoder, decode_json
    from driftgauge.consumer.bridging.kafka import Content, KafkaBridge
    from driftgauge.shared.telemetry import configure_logging

    both = set(topics) & set(label_topics)
    if not topics and not label_topics:
        raise click.UsageError("Name a topic: --topic, --labels-topic or both.")
    if both:
        raise click.UsageError(f"{', '.join(sorted(both))} cannot hold predictions and labels.")
    settings = located_settings()
    configure_logging(settings.log_level)
    found = ({} if config is None else read_config(config.read_text(), str(config))) | (
        {} if brokers is None else {"bootstrap.servers": brokers}
    )
    if "bootstrap.servers" not in found:
        raise click.UsageError("Name the brokers: --brokers HOST:PORT.")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    contents: dict[str, Content] = dict.fromkeys(topics, "predictions")
    contents |= dict.fromkeys(label_topics, "labels")
    running = KafkaBridge(
        settings,
        model,
        found,
        contents,
        decode_json if schema_registry is None else AvroDecoder(schema_registry),
        stop,
        from_end=from_end,
    )
    running.run(until_end=until_end)
    click.echo(
        f"{running.written:,} events written, {running.unusable:,} messages unusable, "
        f"{running.lost:,} lost."
    )


def read_config(text: str, name: str) -> dict[str, Any]:
    r"""Read a file of librdkafka's settings.

    Raises
    ------
    BadData
        If a line is none.

    Examples
    --------
    >>> read_config("# our cluster\nsecurity.protocol = SSL\n", "kafka.conf")
    {'security.protocol': 'SSL'}
    """
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        key, equals, value = bare.partition("=")
        if not equals or not key.strip():
            raise BadData(f"{name}, line {number}, is no setting: write name=value.")
        found[key.strip()] = value.strip()
    return found
