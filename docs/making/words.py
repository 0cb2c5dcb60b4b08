"""The words for rules and severities, from their tables."""

from docs.making.prose import plain, table
from driftgauge.shared.wording import glossary
from driftgauge.shared.wording.titles import severity_words


def rules() -> str:
    """Write a table of what is told, with the method behind it."""
    rows = [
        (plain(row.plain), plain(row.method), plain(row.meaning)) for row in glossary.rule_rows()
    ]
    return table(["Words", "Method", "Meaning"], rows)


def severities() -> str:
    """Write a table of the severities, as the API and as people have them."""
    rows = [
        (f"`{name}`", severity_words(name), plain(meaning))
        for name, meaning in glossary.SEVERITIES.items()
    ]
    return table(["In the API", "Words", "Meaning"], rows)
