"""Machines: a webhook of anybody's, and Alertmanager."""

from typing import ClassVar

import msgspec

from driftgauge.consumer.notifying.choices.base import TargetChoice


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
    labels: dict[str, str] = msgspec.field(default_factory=dict)
