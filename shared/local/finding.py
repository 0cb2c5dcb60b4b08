"""Where the commands find API, Redis and registry: by an option, the environment, or the deployment
that runs in the data folder.

An explicit option wins, then a setting of the environment, then the deployment of `data_dir`, then
the setting's default. Whichever it is, a command says so where it could be a surprise.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from driftgauge.shared.local.running import (
    RunningDeployment,
    api_address,
    read_running,
    without_password,
)
from driftgauge.shared.settings import Settings, read_settings

_SAID = "driftgauge.said"
WHERE: Final = "DRIFTGAUGE_API_URL, the deployment of DRIFTGAUGE_DATA_DIR, or http://127.0.0.1:8000"
"""Where the API is looked for, for the help of an option."""


@dataclass(frozen=True)
class Found:
    """Where a command finds everything.

    Parameters
    ----------
    settings
        Settings of the environment, with those of the deployment where the environment has none.
    api_url
        Address of the API.
    deployment
        The deployment that runs in the data folder; None if none does.
    gone
        The deployment that left its file there and has ended without a word; None if none did.
    doubt
        A sentence that says which one was chosen, where it could be a surprise; else empty.
    """

    settings: Settings
    api_url: str
    deployment: RunningDeployment | None = None
    gone: RunningDeployment | None = None
    doubt: str = ""


def find(**overrides: object) -> Found:
    """Look up where API, Redis and registry are.

    Parameters
    ----------
    overrides
        Settings by name that replace those of environment and deployment; None replaces nothing.

    Raises
    ------
    ConfigurationError
        If a setting cannot be used.
    """
    settings = read_settings(**overrides)
    file = read_running(settings.data_dir)
    if file is None:
        return Found(settings, _own_api(settings))
    if not file.alive:
        folder, url = settings.data_dir.absolute(), _own_api(settings)
        doubt = (
            f"The deployment of {folder} has ended (process {file.pid}); looking for the API at "
            f"{url}."
        )
        return Found(settings, url, gone=file, doubt="" if settings.api_url else doubt)
    located = settings.model_copy(update=_of_deployment(file, settings))
    url = _own_api(settings) if settings.api_url else file.api
    return Found(located, url, file, doubt=_doubt(file, settings, url))


def located_settings(**overrides: object) -> Settings:
    """Return the settings that `find` finds, and say on standard error which deployment they are
    of, where it could be a surprise.
    """
    found = find(**overrides)
    _say_once(found)
    return found.settings


def _own_api(settings: Settings) -> str:
    return settings.api_url.rstrip("/") if settings.api_url else api_address(settings)


def _of_deployment(file: RunningDeployment, settings: Settings) -> Mapping[str, object]:
    """Return the deployment's settings that the environment leaves open.

    The prefix of its keys belongs to its Redis: it is not for one that the environment names.
    """
    given = settings.model_fields_set
    shared: dict[str, Any] = {
        name: Path(text) if name.endswith(("_dir", "_file")) else text
        for name, text in file.settings.items()
        if name not in given and name in Settings.model_fields
    }
    if settings.redis_url is None:
        shared["redis_url"] = file.redis_url
    elif without_password(settings.redis_url) != file.redis_url:
        shared.pop("key_prefix", None)
    return {**shared, "data_dir": Path(file.data_dir)}


def _doubt(file: RunningDeployment, settings: Settings, url: str) -> str:
    folder = settings.data_dir.absolute()
    if file.pid == os.getppid():  # one of its own processes
        return ""
    if url != file.api:
        return (
            f"DRIFTGAUGE_API_URL says {url}, though the deployment of {folder} is at {file.api}; "
            f"using {url}."
        )
    if settings.redis_url is not None and without_password(settings.redis_url) != file.redis_url:
        return (
            f"DRIFTGAUGE_REDIS_URL is set, so that its Redis is used, not that of the deployment "
            f"of {folder}."
        )
    if file.command != "up":
        return (
            f"Using the {file.command} that runs in {folder}: {url}. Its models and counts go when "
            f"it ends."
        )
    return "" if url == api_address(settings) else f"Using the deployment of {folder}: {url}."


def _say_once(found: Found) -> None:
    """Say a command's doubt on standard error, once for each call of the command line."""
    context = click.get_current_context(silent=True)
    said = {} if context is None else context.find_root().meta
    if found.doubt and not said.get(_SAID):
        click.echo(f"driftgauge: {found.doubt}", err=True)
        said[_SAID] = True


def _api(context: click.Context, option: click.Parameter, url: str | None) -> str:  # noqa: ARG001  click's signature
    if url is not None:
        context.find_root().meta[_SAID] = True  # who names it is in no doubt
        return url
    found = find()
    _say_once(found)
    return found.api_url


url_option = click.option(
    "--url",
    callback=_api,
    help=f"The API.  [default: {WHERE}]",
)
"""Option of every command that talks to a running API."""
