"""Services that page people: PagerDuty, Opsgenie and what takes its place."""

from typing import Annotated, ClassVar, Final

import msgspec

from driftgauge.consumer.notifying.choices.base import Address, TargetChoice

PAGERDUTY: Final = "https://events.pagerduty.com"
OPSGENIE: Final = "https://api.opsgenie.com"
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=50)]


class PagerDuty(TargetChoice, tag="pagerduty", frozen=True, kw_only=True):
    """A service of PagerDuty, by its Events API v2: an alert for each incident.

    Parameters
    ----------
    key_env, key_file
        The integration key.
    address
        Address of the Events API; `https://events.eu.pagerduty.com` for an account of the EU.
    """

    groups: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("key",)

    key_env: str = ""
    key_file: str = ""
    address: Address = PAGERDUTY


class Opsgenie(TargetChoice, tag="opsgenie", frozen=True, kw_only=True):
    """Opsgenie, or Jira Service Management: an alert for each incident.

    Parameters
    ----------
    key_env, key_file
        Key of an API integration.
    address
        Address of the API: `https://api.eu.opsgenie.com` for an account of the EU, and
        `https://api.atlassian.com/jsm/ops/integration` for Jira Service Management.
    tags
        Tags of each alert.
    """

    groups: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("key",)

    key_env: str = ""
    key_file: str = ""
    address: Address = OPSGENIE
    tags: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=20)] = ()
