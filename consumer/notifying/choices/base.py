"""The kinds of target as the policy file says them: `[routes.target]` with a `type`. Pure.

A secret never stands in the file. A field `NAME` that is one has no place there: `NAME_env` names
an environment variable that holds it, `NAME_file` a file. An address that is a secret itself, as
those of many webhooks are, is given by `url_env` or `url_file` instead of `url`. Who needs a secret
asks `secrets.secret_of`.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar

import msgspec

Address = Annotated[
    str, msgspec.Meta(pattern=r"^https?://[^/?#\s@]{1,253}(/[^?#\s]{0,500})?$", max_length=800)
]
"""Address of a service: http or https, and no secret."""


class TargetChoice(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", kw_only=True
):
    """What all kinds have in common.

    Attributes
    ----------
    groups
        Whether several incidents may be one message. Not where each is an object of its own that
        is closed later.
    needs
        The fields, by the first part of their names, of which each needs a value: by itself, by
        `_env` or by `_file`.
    may_have
        Those that may have one.
    """

    groups: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ()
    may_have: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        """Return the kind alone: an address may be a secret."""
        return f"{type(self).__name__}(…)"

    def given(self, name: str) -> list[str]:
        """Return which of the fields that give a value stand there.

        Examples
        --------
        >>> class Hook(TargetChoice):
        ...     url_env: str = ""
        >>> Hook(url_env="HOOK").given("url")
        ['url_env']
        """
        fields = (f"{name}{form}" for form in ("", "_env", "_file"))
        return [field for field in fields if getattr(self, field, "")]

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yield what is wrong with fields that have the right form each: the field, and the reason
        as the rest of a sentence.
        """
        yield from ()
