"""CONTRIBUTING.md and SECURITY.md name only files, functions and tests that exist."""

from __future__ import annotations

import ast
import re

import pytest
from helpers.command import ROOT

PAGES = {name: (ROOT / name).read_text("utf-8") for name in ("CONTRIBUTING.md", "SECURITY.md")}
PACKAGES = {path.parent.name for path in (ROOT / "tagger").glob("*/__init__.py")}
MODULES = {path.stem for path in (ROOT / "tagger").glob("*.py")}
QUOTED = {(page, text) for page in PAGES for text in re.findall(r"`([^`\n]+)`", PAGES[page])}
PATHS = sorted((p, t) for p, t in QUOTED if re.fullmatch(r"[\w./-]+/[\w./-]*|\w+\.(md|toml)", t))
TESTS = sorted(text for _, text in QUOTED if re.fullmatch(r"[\w/]+\.py::\w+", text))
NAMES = sorted(
    text
    for _, text in QUOTED
    if re.fullmatch(r"\w+(\.\w+)+", text) and text.split(".")[0] in PACKAGES | MODULES
)


def members(body: list[ast.stmt]) -> dict[str, list[ast.stmt]]:
    """Each name that these statements define, and what is in its body."""
    found: dict[str, list[ast.stmt]] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = node.body
        elif isinstance(node, ast.Assign):
            found |= {target.id: [] for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found[node.target.id] = []
    return found


def test_the_pages_name_enough_to_check() -> None:
    assert len(PATHS) > 30 and len(TESTS) > 30 and len(NAMES) > 30


@pytest.mark.parametrize(("page", "path"), PATHS)
def test_each_file_that_is_named_exists(page: str, path: str) -> None:
    assert (ROOT / path).exists() or (ROOT / "tests" / path).exists(), f"{page} names {path}"


@pytest.mark.parametrize("text", TESTS)
def test_each_test_that_is_named_exists(text: str) -> None:
    path, name = text.split("::")
    assert name in members(ast.parse((ROOT / "tests" / path).read_text("utf-8")).body)


@pytest.mark.parametrize("dotted", NAMES)
def test_each_name_in_the_code_exists(dotted: str) -> None:
    package, *names = dotted.split(".")
    path = ROOT / "tagger" / package
    if path.is_dir():
        path /= names.pop(0)
    body = ast.parse(path.with_suffix(".py").read_text("utf-8")).body
    for name in names:
        assert name in members(body), f"{dotted}: there is no {name}"
        body = members(body)[name]
