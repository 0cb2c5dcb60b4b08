"""The kinds of target as the policy file says them: `[routes.target]` with a `type`. Pure.

A secret never stands in the file. A field `NAME` that is one has no place there: `NAME_env` names
an environment variable that holds it, `NAME_file` a file. An address that is a secret itself, as
those of many webhooks are, is given by `url_env` or `url_file` instead of `url`. Who needs a secret
asks `secrets.secret_of`.
"""

from typing import ClassVar

import msgspec


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
        >>> Webhook(url_env="HOOK").given("url")
        ['url_env']
        """
        fields = (f"{name}{form}" for form in ("", "_env", "_file"))
        return [field for field in fields if getattr(self, field, "")]


class Webhook(TargetChoice, tag="webhook", frozen=True, kw_only=True):
    """A POST of the incident as CloudEvents JSON, signed by Standard Webhooks if it has a secret.

    Parameters
    ----------
    url, url_env, url_file
        The http or https address.
    secret_env, secret_file
        Key of the signature: `whsec_` and Base64.
    """

    groups: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("url",)
    may_have: ClassVar[tuple[str, ...]] = ("secret",)

    url: str = ""
    url_env: str = ""
    url_file: str = ""
    secret_env: str = ""
    secret_file: str = ""


class Alertmanager(TargetChoice, tag="alertmanager", frozen=True, kw_only=True):
    """An alert of Alertmanager for each incident.

    Parameters
    ----------
    url, url_env, url_file
        Address of Alertmanager, without `/api/v2/alerts`.
    token_env, token_file
        A bearer token, if a proxy before it asks for one.
    labels
        Further labels of each alert, by which Alertmanager routes it.
    """

    groups: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("url",)
    may_have: ClassVar[tuple[str, ...]] = ("token",)

    url: str = ""
    url_env: str = ""
    url_file: str = ""
    token_env: str = ""
    token_file: str = ""
    labels: dict[str, str] = {}


Choice = Webhook | Alertmanager
"""All kinds; a new one is added here, and in `targets.build`."""
