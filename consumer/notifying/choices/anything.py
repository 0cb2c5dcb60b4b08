"""Everything else, by Apprise."""

from typing import ClassVar

from driftgauge.consumer.notifying.choices.base import TargetChoice


class Apprise(TargetChoice, tag="apprise", frozen=True, kw_only=True):
    """One or more of the services that Apprise knows (extra `apprise`).

    Parameters
    ----------
    url_env, url_file
        Their addresses in Apprise's form, apart by spaces or lines; they hold secrets.
    """

    needs: ClassVar[tuple[str, ...]] = ("url",)

    url_env: str = ""
    url_file: str = ""
