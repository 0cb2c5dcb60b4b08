"""Fills the pages of the site: what is made from the code, and the names of the repository's files.

A line "*Made from the code by `make docs`: settings.*" of a page is replaced by what is made under
that name, so the page in the repository is short and always true.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from docs.making import capacity, commands, library, metrics, routes, settings, structs, words

MADE: Final[Mapping[str, Callable[[], str]]] = {
    "settings": settings.page,
    "commands": commands.page,
    "routes": routes.page,
    "metrics of a process": metrics.process,
    "metrics of the pipeline": metrics.pipeline,
    "metrics of the windows": metrics.windows,
    "metrics of a worker": metrics.worker,
    "metrics of any process": metrics.usage,
    "event types": structs.event_types,
    "event data": structs.event_data,
    "snapshot": structs.snapshot,
    "library": library.page,
    "capacity of sizes": capacity.sizes,
    "costs of an event": capacity.costs,
    "rules": words.rules,
    "severities": words.severities,
}
"""What can be filled in, by the name in the page."""
PLACE: Final = re.compile(r"^\*Made from the code by `make docs`: (.+)\.\*$", re.MULTILINE)
NAMED: Final = re.compile(r"\[[\w-]+\.md\](?=\([\w/-]+\.md[#)])")
"""A link whose text is the name of a page, instead of which the site shows its title."""
LINK: Final = re.compile(r"\[([^\]]*)\]\((\.\./[^)#\s]*)(#[^)\s]*)?\)")
DOCS: Final = Path(__file__).parents[1]


def filled(text: str, page: str | Path) -> str:
    """Return a page as the site shows it.

    Parameters
    ----------
    text
        The page in Markdown.
    page
        Its file, from which its links lead.
    """
    made = PLACE.sub(lambda found: MADE[found[1]](), NAMED.sub("[]", text))
    return LINK.sub(lambda found: _named(found, Path(page)), made)


def _named(found: re.Match[str], page: Path) -> str:
    """Name a file of the repository that the site does not have, instead of a link to it."""
    target = (page.parent / found[2]).resolve()
    if target.is_relative_to(DOCS):
        return found[0]
    path = target.relative_to(DOCS.parent)
    return f"`{path}`" if path.name in found[1] or "/" in found[1] else f"{found[1]} (`{path}`)"
