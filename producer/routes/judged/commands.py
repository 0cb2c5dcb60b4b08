"""Bodies of people's commands to judging, and the writing of one."""

from typing import Any, Final

import msgspec
from fastapi import Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from driftgauge.producer.access.control import caller_of
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.shared.contract import commands
from driftgauge.shared.contract.commands import COMMANDS_KEPT, Acknowledge, Command, SilenceAlert

JSON: Final = "application/json"
LONGEST_NOTE: Final = 500
"""Most characters of a note."""


class Note(BaseModel):
    """Body of a command: who gives it, and a note."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field("", max_length=LONGEST_NOTE)
    who: str = Field(
        "",
        max_length=500,
        description="Recorded by an API without keys; one with keys records the key's name.",
    )

    def asker(self, request: Request) -> str:
        """Return the name to record: that of the key, or without keys the one in the body."""
        caller = caller_of(request)
        return self.who or caller.name if caller.everything else caller.name


class Seen(Note):
    """Body of an acknowledgement."""

    def command(self, name: str, request: Request) -> Acknowledge:
        """Return the command to the alert or incident of this name."""
        return Acknowledge(name, self.asker(request), self.note)


class SilenceFor(Note):
    """Body of a silence: for some minutes of the model's logical time, or until a time."""

    minutes: float | None = Field(None, gt=0, le=527_040)
    until: AwareDatetime | None = None

    def command(self, name: str, request: Request) -> SilenceAlert:
        """Return the command to the alert or incident of this name.

        Raises
        ------
        Problem
            422 if not exactly one of the two times is given, or `until` cannot be a time.
        """
        if (self.minutes is None) == (self.until is None):
            raise Problem(422, "Give either `minutes`, or `until` as a time with its zone.")
        until = None if self.until is None else round(self.until.timestamp() * 1000)
        if until is not None and until <= 0:
            raise Problem(422, "`until` lies before 1970.")
        return SilenceAlert(name, self.asker(request), self.note, self.minutes, until)


async def ask(parts: Parts, model: str, command: Command) -> Response:
    """Write a command to a model's judging, which applies it once."""
    fields: Any = {commands.FIELD: commands.encode(command)}
    key = parts.keys.commands(model)
    written: Any = await parts.reader.xadd(key, fields, maxlen=COMMANDS_KEPT, approximate=True)
    body = {"command": written.decode(), "model": model, "fingerprint": command.fingerprint}
    return Response(msgspec.json.encode(body), 202, media_type=JSON)
