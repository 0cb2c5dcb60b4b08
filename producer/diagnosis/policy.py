"""A check of the policy: which file is in force, and whether a worker refuses its own."""

from typing import Any

import msgspec
import redis

from driftgauge.producer.diagnosis.check import Check, note, ok, wrong
from driftgauge.shared.connections.nodes import Nodes
from driftgauge.shared.connections.redis_client import server_ms
from driftgauge.shared.contract.keys import Keys
from driftgauge.shared.errors import DriftgaugeError
from driftgauge.shared.local.finding import Found
from driftgauge.shared.policies.agreed import POLICY, Agreed, Origin, files_of, refused_in
from driftgauge.shared.unpacking import UNREADABLE
from driftgauge.shared.wording.times import moment

NAME = "policy"


def policy_check(found: Found) -> Check:
    """Look which policy file is in force, and what the workers tell of theirs."""
    nodes = Nodes(found.settings.redis_url)
    try:
        return _check(nodes, Keys(found.settings.key_prefix))
    except (redis.RedisError, DriftgaugeError) as error:
        return note(NAME, f"not known: {error}")
    finally:
        nodes.close()


def _check(nodes: Nodes, keys: Keys) -> Check:
    asked: Any = nodes.shared(keys.policy).hget(keys.policy, POLICY.decode())
    if asked is None:
        return ok(NAME, "that of the settings: no worker has a policy file")
    try:
        origin = msgspec.json.decode(asked, type=Agreed).origin
    except UNREADABLE:
        advice = "Save the policy file again; a worker of another release may have written it."
        return wrong(NAME, f"{keys.policy} cannot be read", advice)
    client = nodes.shared(keys.policy_files)
    told: Any = client.hgetall(keys.policy_files)
    now = server_ms(client)
    refused = refused_in(told, now)
    if refused:
        return wrong(NAME, " ".join(refused), "Mend the file: it is taken up within seconds.")
    return _of_hosts(origin, [one.origin for one in files_of(told, now).values()])


def _of_hosts(origin: Origin, files: list[Origin]) -> Check:
    """Say which file is in force, and which ones are older."""
    said = f"{origin.who}, written {moment(origin.written)}, is in force"
    older = sorted({one.who for one in files if one.digest != origin.digest})
    if older:
        advice = "Bring the file to each worker; the newest one goes on until then."
        return note(NAME, f"{said}; older: {', '.join(older)}", advice)
    return ok(NAME, said)
