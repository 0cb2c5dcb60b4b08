"""A message as the page of a mail: no script, nothing fetched, its styles in each element, since
many mail programs drop a page's own; light, and dark where the program is.
"""

from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from driftgauge.consumer.notifying.rendering.telling import COLOURS, Telling

PICTURE: Final = "drift"
"""Content id of the picture."""


def as_page(telling: Telling, *, picture: bool = False) -> str:
    """Return the page.

    Parameters
    ----------
    picture
        Whether a picture with the content id `PICTURE` goes with it.
    """
    return _PAGE.render(
        telling=telling, colour=COLOURS[telling.mood], picture=PICTURE if picture else ""
    )


_ENVIRONMENT = Environment(
    loader=PackageLoader("driftgauge.consumer.notifying.rendering"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGE: Final = _ENVIRONMENT.get_template("mail.html.j2")
