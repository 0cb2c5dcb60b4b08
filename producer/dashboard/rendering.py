"""Pages: a template, what it shows, and the policy that the browser holds it to.

A page that htmx asks for again gets only the block whose name is the id of the element that it
replaces, so that the first answer and every later one come from the same lines of the same
template.

Untrusted text (names, categories, notes) reaches a page escaped by the template, or as JSON in a
block that no browser runs (`json_block`); templates write no script and no style into a page, and
the policy would stop either.
"""

from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from fastapi import Request, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import BeforeValidator

from driftgauge.producer.access.control import caller_of
from driftgauge.producer.dashboard.assets import asset_path
from driftgauge.producer.parts import Parts
from driftgauge.shared.reporting import html
from driftgauge.shared.wording.filters import PAGE_FILTERS

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src "
    "'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of a dashboard page: nothing inline, nothing from another host."""
NAVIGATION: Final = (
    ("/", "Overview"),
    ("/dashboard/drift", "Drift"),
    ("/dashboard/performance", "Performance"),
    ("/dashboard/incidents", "Incidents"),
    ("/dashboard/models", "Models"),
    ("/dashboard/batch", "Batch"),
    ("/dashboard/log", "Log"),
    ("/dashboard/slice", "Slice"),
    ("/dashboard/reports", "Reports"),
)
Blank: Final = BeforeValidator(lambda text: text or None)
"""A parameter of a page that is empty or left out: a form sends its empty fields too."""
MACROS: Final = ("symbols", "badge", "tile", "empty")
"""Macros of parts.html.j2, which every template can use."""


def page(
    request: Request,
    template: str,
    *,
    model: str | None = None,
    status: int = 200,
    policy: str = POLICY,
    vary: str = "HX-Target",
    **shown: Any,
) -> Response:
    """Answer with a page, or with the block of it that htmx asks for.

    Parameters
    ----------
    template
        File name in templates/.
    model
        Model that the page is about: links to other pages keep it, and the live stream follows only
        it. None for all models.
    policy
        Content-Security-Policy of the answer.
    vary
        Request headers that the answer depends on.
    shown
        Variables of the template.
    """
    found, asked = ENVIRONMENT.get_template(template), request.headers.get("HX-Target", "")
    context = found.new_context({**_frame(request, model), **shown})
    block = None if asked in FRAME else found.blocks.get(asked)
    text = "".join((block or found.root_render_func)(context))
    headers = {"Content-Security-Policy": policy, "Vary": vary}
    return Response(text, status, headers, media_type="text/html; charset=utf-8")


def root_of(request: Request) -> str:
    """Return the prefix of all paths, from DRIFTGAUGE_ROOT_PATH or from the proxy's header."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def json_block(identifier: str, value: object) -> Markup:
    r"""Return a value as a JSON block of a page, for a module to read.

    Examples
    --------
    >>> json_block("points", {"name": "</script>"})
    Markup('<script type="application/json" id="points">{"name":"\\u003c/script\\u003e"}</script>')
    """
    text = msgspec.json.encode(value).decode()
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    safe = Markup(text)  # noqa: S704  the three characters that could end a script are escaped
    return Markup('<script type="application/json" id="{}">{}</script>').format(identifier, safe)


def _frame(request: Request, model: str | None) -> dict[str, Any]:
    """Return what every page's frame needs."""
    root = root_of(request)
    parts: Parts = request.app.state.parts
    caller = caller_of(request)

    def url(path: str, **query: object) -> str:
        given = {name: value for name, value in query.items() if value is not None and value != ""}
        return f"{root}{path}" + (f"?{urlencode(given)}" if given else "")

    return {
        "url": url,
        "asset": lambda name: root + asset_path(name),
        "root": root,
        "here": request.scope["path"].removeprefix(root),
        "navigation": NAVIGATION,
        "model": model,
        "caller": caller,
        "may_change": caller.allows("admin"),
        "with_keys": parts.access.ring.held is not None,
    }


def _environment() -> Environment:
    """Make the pages' templates; the report's parts are among them, and what they show things
    with.
    """
    environment = Environment(
        loader=ChoiceLoader(
            [
                PackageLoader("driftgauge.producer.dashboard"),
                PackageLoader("driftgauge.shared.reporting"),
            ]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {**html.FILTERS, **PAGE_FILTERS}
    environment.globals |= {**html.GLOBALS, "json_block": json_block}
    macros = environment.get_template(
        "parts.html.j2"
    ).module  # global, since a block alone runs no import
    environment.globals |= {name: getattr(macros, name) for name in MACROS}
    return environment


ENVIRONMENT: Final = _environment()
FRAME: Final = frozenset(ENVIRONMENT.get_template("frame.html.j2").blocks)
"""Blocks that every page has: none is an element that htmx replaces."""
