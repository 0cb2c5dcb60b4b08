"""What a server tells about itself."""

import pytest

from driftgauge.producer.publishing.server import Server, read_info


@pytest.mark.parametrize("line", [b"", b"slave0:ip=h,port=1,state=wait_bgsave,offset=0,lag=0"])
def test_a_replica_without_the_data_is_none(line: bytes) -> None:
    """A replica that is being filled cannot take over, and holds nothing back."""
    server = read_info(b"run_id:a\r\nrole:master\r\nmaster_repl_offset:9\r\n" + line)
    assert (server.confirmed, server.prompt, server.replica) == ((), 0, False)


def test_a_service_may_leave_out_or_disguise_any_line() -> None:
    """What cannot be read counts as not told."""
    assert read_info(b"# Server\r\nused_memory:many\r\n") == Server(b"")
