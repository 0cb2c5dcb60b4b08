"""Shared by `driftgauge alerts` and `driftgauge incidents`: reading, following and marking what a
running API tells of.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

import click
import httpx
import msgspec

from driftgauge.consumer.commands.actor import current_user
from driftgauge.shared.connections.api_client import api_client, ask
from driftgauge.shared.connections.api_client import follow as follow_events
from driftgauge.shared.contract.alert import Alert
from driftgauge.shared.contract.incident import Incident
from driftgauge.shared.durations import minutes_of
from driftgauge.shared.errors import ModelNotFound
from driftgauge.shared.local.finding import located_settings, url_option
from driftgauge.shared.moments import untold
from driftgauge.shared.unpacking import UNREADABLE
from driftgauge.shared.wording.visible import visible

ASKED: Final = 1000
"""Number of events that are requested for all models: the most that the API returns at once."""
SHOWN: Final = 100
"""Most events that are shown of each model: the latest ones."""
PAUSE_S: Final = 1.0
"""Pause (s) before a stream that ended is opened again."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")

Told = TypeVar("Told", Alert, Incident)
Show = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Telling(Generic[Told]):
    """What a command tells of.

    Parameters
    ----------
    name
        Its name in paths and answers, such as `alerts`.
    kind
        The struct of its events.
    is_news
        Whether people are told of an event, where not all of them are asked for.
    line
        An event as text.
    argument
        What names one of them on the command line.
    each_once
        Whether the API lists each of them once, as it was last, instead of all transitions: then
        all that are listed are shown.
    """

    name: str
    kind: type[Told]
    is_news: Callable[[Told], bool]
    line: Callable[[Told], str]
    argument: str
    each_once: bool = False

    def show(self, event: dict[str, Any], *, as_json: bool, everything: bool) -> None:
        """Print an event, unless nobody is told of it; one of another release is left out."""
        found = self.read(event)
        if found is not None and (everything or self.is_news(found)):
            click.echo(msgspec.json.encode(event) if as_json else _visible(self.line(found)))

    def read(self, event: Any) -> Told | None:
        """Decode an event; None if another release wrote it, or a person by hand."""
        try:
            return untold(event["data"], self.kind)
        except UNREADABLE:
            return None

    def run(
        self, url: str, model: str | None, *, follow: bool, as_json: bool, everything: bool
    ) -> None:
        """Show the latest events of a model or of all, oldest first, and go on if asked to."""
        show = partial(self.show, as_json=as_json, everything=everything)
        listed = partial(self.show, as_json=as_json, everything=everything or self.each_once)
        if follow:
            asyncio.run(self._follow(url, model, listed, show))
        else:
            asyncio.run(self._show_latest(url, model, listed))

    async def _show_latest(self, url: str, model: str | None, listed: Show) -> None:
        async with api_client(url, located_settings()) as client:
            for event in await self._latest(client, model):
                listed(event)

    async def _follow(self, url: str, model: str | None, listed: Show, show: Show) -> None:
        """Show the latest events, then every new one; a stream that breaks is resumed where it
        broke.

        The stream is opened before the latest ones are read, so that none falls between the two.
        """
        known: set[str] | None = None
        position: str | None = None
        query = {} if model is None else {"model": model}
        async with api_client(url, located_settings()) as client:
            while True:
                path = f"/{self.name}/stream"
                stream = follow_events(client, path, position, ModelNotFound, **query)
                async for place, data in stream:
                    position = place
                    if known is None:
                        latest = await self._latest(client, model)
                        known = {str(event.get("id")) for event in latest}
                        for event in latest:
                            listed(event)
                    if data and str((event := msgspec.json.decode(data)).get("id")) not in known:
                        show(event)
                await asyncio.sleep(PAUSE_S)

    async def _latest(self, client: httpx.AsyncClient, model: str | None) -> list[dict[str, Any]]:
        """Read the latest events, oldest first, at most SHOWN of each model."""
        query = {"limit": ASKED} | ({} if model is None else {"model": model})
        page = await ask(client, "GET", f"/{self.name}", ModelNotFound, params=query)
        shown: Counter[str] = Counter()
        found = []
        for event in page[self.name]:
            told = self.read(event)
            if told is not None and shown[told.model] < SHOWN:
                shown[told.model] += 1
                found.append(event)
        return found[::-1]

    def acknowledge(self, url: str, name: str, note: str, *, as_json: bool) -> None:
        """Ask the API to mark one as seen."""
        asyncio.run(self._command(url, name, "acknowledge", {"note": note}, as_json=as_json))

    def silence(self, url: str, name: str, time_: str, note: str, *, as_json: bool) -> None:
        """Ask the API to tell nobody of one for a time."""
        said = {"note": note, "minutes": minutes_of(time_)}
        asyncio.run(self._command(url, name, "silence", said, as_json=as_json))

    async def _command(
        self, url: str, name: str, verb: str, said: dict[str, Any], *, as_json: bool
    ) -> None:
        """Ask the API for a command, which the worker will apply."""
        path = f"/{self.name}/{quote(name, safe='')}/{verb}"
        async with api_client(url, located_settings()) as client:
            answer = await ask(client, "POST", path, json={**said, "who": current_user()})
        if as_json:
            click.echo(msgspec.json.encode(answer))
            return
        click.echo(
            f"Asked of {answer['model']}; `driftgauge {self.name} --all --follow` shows it when "
            "the worker has applied it."
        )


def _visible(text: str) -> str:
    """Return lines that cannot move the terminal's cursor, whatever others named."""
    return "\n".join(visible(line) for line in text.split("\n"))


def command(telling: Telling[Told], one: str) -> click.Group:
    """Make the command that shows, follows, acknowledges and silences.

    Parameters
    ----------
    one
        What one of them is called, such as `alert`.
    """

    @click.group(
        telling.name,
        invoke_without_command=True,
        help=f"""Show the latest {telling.name}, oldest first; acknowledge or silence one.

        They are read from a running API. One with keys needs a key in DRIFTGAUGE_API_KEY: with the
        scope read to show {telling.name}, admin to acknowledge or silence one.
        """,
    )
    @click.option("--model", help="Only this model.")
    @click.option("--follow", is_flag=True, help="Go on as new ones come.")
    @click.option("--json", "as_json", is_flag=True, help="CloudEvents, one JSON object a line.")
    @click.option(
        "--all",
        "everything",
        is_flag=True,
        help="All transitions, not only those that people are notified of.",
    )
    @url_option
    @click.pass_context
    def group(
        context: click.Context,
        model: str | None,
        url: str,
        *,
        follow: bool,
        as_json: bool,
        everything: bool,
    ) -> None:
        if context.invoked_subcommand is None:
            telling.run(url, model, follow=follow, as_json=as_json, everything=everything)

    note_option = click.option(
        "--note", default="", help=f"Why, in words; it stands in the {one}'s history."
    )

    @group.command(help=f"Mark an open {one} as seen: no more reminders of it.")
    @click.argument("name", metavar=telling.argument)
    @note_option
    @url_option
    @json_option
    def acknowledge(name: str, url: str, *, note: str, as_json: bool) -> None:
        telling.acknowledge(url, name, note, as_json=as_json)

    @group.command(
        help=f"Send no notifications of an open {one} for a time; its transitions are still "
        "recorded."
    )
    @click.argument("name", metavar=telling.argument)
    @click.option(
        "--for",
        "time_",
        required=True,
        metavar="TIME",
        help="How long, such as 30m, 2h or 3d of the model's time.",
    )
    @note_option
    @url_option
    @json_option
    def silence(name: str, url: str, *, time_: str, note: str, as_json: bool) -> None:
        telling.silence(url, name, time_, note, as_json=as_json)

    return group
