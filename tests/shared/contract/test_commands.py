"""The commands' contract."""

import pytest

from driftgauge.shared.contract import commands
from driftgauge.shared.contract.commands import Acknowledge, Command, SilenceAlert
from driftgauge.shared.errors import BadData

NAME = "0123456789abcdef"


@pytest.mark.parametrize(
    "command",
    [
        Acknowledge(NAME, "ann", "note"),
        SilenceAlert(NAME, "ann", minutes=5),
        SilenceAlert(NAME, "ann", until=5),
    ],
)
def test_what_is_written_is_read(command: Command) -> None:
    """A command comes back as it was asked."""
    assert commands.decode(commands.encode(command)) == command


@pytest.mark.parametrize(
    "packed",
    [
        None,
        b"",
        b"{}",
        b'{"type":"acknowledge"}',
        b'{"type":"acknowledge","fingerprint":"../x","who":"a"}',
        b'{"type":"acknowledge","fingerprint":"0123456789abcdef","who":"a","more":1}',
        b'{"type":"silence","fingerprint":"0123456789abcdef","who":"a","minutes":0}',
        b'{"type":"silence","fingerprint":"0123456789abcdef","who":"a","until":99999999999999999}',
    ],
)
def test_anything_else_is_refused(packed: bytes | None) -> None:
    """One kind of error, whatever was written."""
    with pytest.raises(BadData, match="not a command"):
        commands.decode(packed)
