"""The site: Sphinx with Markdown (MyST) and the theme furo. `make docs` builds it."""

from typing import TYPE_CHECKING

from docs.making.filling import filled

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Driftgauge"
html_title = "Driftgauge"
extensions = ["myst_parser"]
exclude_patterns = ["making"]
smartquotes = False  # `--data` is to be pasted
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
myst_heading_anchors = 4


def _fill(app: "Sphinx", name: str, text: list[str]) -> None:
    text[0] = filled(text[0], app.env.doc2path(name))


def setup(app: "Sphinx") -> None:
    """Let what is made from the code be filled into each page that is read."""
    app.connect("source-read", _fill)
