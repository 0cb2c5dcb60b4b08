"""Chats: Slack, Microsoft Teams, Discord."""

from typing import Annotated, ClassVar, Final

import msgspec

from driftgauge.consumer.notifying.choices.base import Address, TargetChoice

SLACK: Final = "https://slack.com/api"


class Slack(TargetChoice, tag="slack", frozen=True, kw_only=True):
    """A channel of Slack, by a bot's token: one message for each incident, changed in place.

    Parameters
    ----------
    channel
        Id of the channel, such as `C0123456789`. The bot must be a member of it.
    token_env, token_file
        The bot's token, `xoxb-…`, with the scopes `chat:write` and, for pictures, `files:write`.
    address
        Address of the Web API.
    """

    groups: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("token",)

    channel: Annotated[str, msgspec.Meta(pattern="^[#A-Za-z0-9_-]{1,80}$")]
    token_env: str = ""
    token_file: str = ""
    address: Address = SLACK


class SlackWebhook(TargetChoice, tag="slack-webhook", frozen=True, kw_only=True):
    """A channel of Slack, by an incoming webhook: each change is a message of its own.

    Parameters
    ----------
    url_env, url_file
        The webhook's address, which is a secret.
    """

    needs: ClassVar[tuple[str, ...]] = ("url",)

    url_env: str = ""
    url_file: str = ""


class Teams(TargetChoice, tag="teams", frozen=True, kw_only=True):
    """A channel or chat of Microsoft Teams, by the webhook of a workflow: each change is a card of
    its own.

    Parameters
    ----------
    url_env, url_file
        The webhook's address, which is a secret.
    """

    needs: ClassVar[tuple[str, ...]] = ("url",)

    url_env: str = ""
    url_file: str = ""


class Discord(TargetChoice, tag="discord", frozen=True, kw_only=True):
    """A channel of Discord, by a webhook: one message for each incident, changed in place.

    Parameters
    ----------
    url_env, url_file
        The webhook's address, which is a secret. `?thread_id=…` behind it leads into a thread.
    """

    groups: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("url",)

    url_env: str = ""
    url_file: str = ""
