"""Bodies of people's commands to judging, and the writing of one."""

from typing import Annotated, Any, Final

import msgspec
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from driftgauge.producer.access.control import caller_of
from driftgauge.producer.http.problems import Problem
from driftgauge.producer.parts import Parts
from driftgauge.producer.routes.answering import answer
from driftgauge.producer.routes.parameters import TIME_SCHEMA, Time
from driftgauge.shared.contract import commands
from driftgauge.shared.contract.commands import COMMANDS_KEPT, Acknowledge, Command, SilenceAlert

ACCEPTED: Final = "The command is written; the worker applies it."
LONGEST_NOTE: Final = 500
"""Most characters of a note."""


class CommandWritten(msgspec.Struct, frozen=True):
    """A command that was written.

    Parameters
    ----------
    command
        Id of the command; empty if it was carried out at once.
    fingerprint
        The alert or the incident that it is about.
    """

    command: str
    model: str
    fingerprint: str


class Note(BaseModel):
    """Body of a command: who gives it, and a note."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field("", max_length=LONGEST_NOTE, description="Why; stands with the mark.")
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

    minutes: float | None = Field(
        None, gt=0, le=527_040, description="For so long, in the model's logical time."
    )
    until: Annotated[Time, WithJsonSchema({"anyOf": [*TIME_SCHEMA["anyOf"], {"type": "null"}]})] = (
        Field(None, description="Time until which; with its zone, or in Unix ms.")
    )

    def command(self, name: str, request: Request) -> SilenceAlert:
        """Return the command to the alert or incident of this name.

        Raises
        ------
        Problem
            422 if not exactly one of the two times is given.
        """
        if (self.minutes is None) == (self.until is None):
            raise Problem(422, "Give either `minutes`, or `until` as a time with its zone.")
        return SilenceAlert(name, self.asker(request), self.note, self.minutes, self.until)


async def ask(parts: Parts, model: str, command: Command) -> Response:
    """Write a command to a model's judging, which applies it once."""
    fields: Any = {commands.FIELD: commands.encode(command)}
    key = parts.keys.commands(model)
    written: Any = await parts.reader.xadd(key, fields, maxlen=COMMANDS_KEPT, approximate=True)
    return answer(CommandWritten(written.decode(), model, command.fingerprint), 202)
