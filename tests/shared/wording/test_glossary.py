"""The words that people read: one table, which pages, headlines, command line and docs share."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from driftgauge.shared.contract.alert import Action
from driftgauge.shared.contract.severity import Severity
from driftgauge.shared.rules import RULES
from driftgauge.shared.wording import glossary
from driftgauge.shared.wording.titles import ACTIONS, severity_words
from tests.places import ROOT

TEMPLATES = sorted(
    path
    for folder in ("producer/dashboard/templates", "shared/reporting/templates")
    for path in (ROOT / folder).glob("*.j2")
)
CODE = sorted(
    path
    for folder in ("consumer", "models", "producer", "shared")
    for path in (ROOT / folder).rglob("*.py")
    if not path.is_relative_to(ROOT / "shared/rules")
    and not path.is_relative_to(ROOT / "shared/wording")
)
EXPRESSION = re.compile(r"\{\{(.*?)\}\}")
SPEAKS = re.compile(r"\brule\b")
WORDED = re.compile(r"\| (rule_words|rule_anchor|rule_meaning)\b|without_rule\(")
METHODS = re.compile(r"\b(ADWIN|[Ee]-detector|Page-Hinkley|DDM)\b")
PLAIN = re.compile("|".join(sorted({re.escape(rule.plain) for rule in RULES.values()})))
SIGNED = re.compile(r"\+[,.\d]*[%efg]$")


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_speaks_of_a_rule_by_the_table(path: Path) -> None:
    """No template shows a rule's name, or has words of its own for one."""
    text = path.read_text()
    for said in EXPRESSION.findall(text):
        assert not SPEAKS.search(said) or WORDED.search(said), said
    assert METHODS.findall(text) == []
    assert PLAIN.findall(text) == []


def texts(path: Path) -> Iterator[ast.Constant]:
    """Yield the texts of a module but for docstrings."""
    tree = ast.parse(path.read_text())
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node


def test_a_message_speaks_of_a_rule_by_the_table() -> None:
    """No message names a method by itself, or has a sign of its own for a number: minus is one
    character.
    """
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {node.value}"
        for path in CODE
        for node in texts(path)
        if METHODS.search(node.value) or SIGNED.fullmatch(node.value)
    ]
    assert found == []


def test_every_severity_and_action_has_words() -> None:
    """All of them, in words that have no underscore; OK is one word."""
    assert set(glossary.SEVERITIES) == set(get_args(Severity))
    assert set(ACTIONS) == set(get_args(Action))
    for words in (*map(severity_words, glossary.SEVERITIES), *ACTIONS.values()):
        assert "_" not in words
    assert severity_words("ok") == "OK"


def test_the_docs_have_the_words_of_the_pages() -> None:
    """A word means the same in the docs' glossary and in that of the dashboard."""
    docs = (ROOT / "docs/glossary.md").read_text()
    for word, meaning in glossary.WORDS.items():
        assert f"| {word} | {meaning} |" in docs
