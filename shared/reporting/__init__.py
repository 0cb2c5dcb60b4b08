"""A snapshot as a page that people read: snapshot in, text out."""

from driftgauge.shared.reporting.html import render_html, report_name

__all__ = ["render_html", "report_name"]
