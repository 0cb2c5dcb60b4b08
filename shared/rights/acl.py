"""[pure] The users of Redis that have the rights of a role, as ACL SETUSER takes them and as the
lines of an aclfile.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

from driftgauge.shared.rights.table import RIGHTS, Role

Release = Literal["6.2", "7"]
"""`7`, and Valkey: reading and writing are rights of their own. `6.2`: a key may be used or not."""


def user_name(prefix: str, role: Role) -> str:
    """Return the name of a role's user, so that deployments with other prefixes have others.

    Examples
    --------
    >>> user_name("dg", "worker")
    'dg-worker'
    """
    return f"{prefix}-{role}"


def rules(
    role: Role, prefix: str, release: Release = "7", further: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the rules of a role's user: they replace all rights that it had, and keep its
    passwords.

    Parameters
    ----------
    prefix
        Prefix of the keys.
    further
        Commands that the way to Redis needs besides.

    Examples
    --------
    >>> rules("bridge", "dg")[:6]
    ('on', 'resetkeys', 'resetchannels', '-@all', '%RW~dg:{*.*}:log', '%RW~dg:{*.*}:bridge:*')
    >>> rules("bridge", "dg", "6.2")[4:8]
    ('~dg:{*.*}:log', '~dg:{*.*}:bridge:*', '~dg:{*}:versions', '~dg:models')
    """
    found = RIGHTS[role]
    keys = (_key(f"{prefix}:{pattern}", access, release) for pattern, access in found.keys.items())
    commands = (*found.commands, *further)
    return (
        *("on", "resetkeys", "resetchannels", "-@all"),
        *keys,
        *(f"+{command}" for command in commands),
    )


def digest_rule(password: str) -> str:
    """Return the rule that gives a user a password, without the password: its SHA-256.

    Examples
    --------
    >>> digest_rule("secret")[:13]
    '#2bb80d537b1d'
    """
    return f"#{hashlib.sha256(password.encode()).hexdigest()}"


def _key(pattern: str, access: str, release: Release) -> str:
    return f"~{pattern}" if release == "6.2" else f"%{access}~{pattern}"
