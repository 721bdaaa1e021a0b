"""Who may import whom: CONTRIBUTING.md has the same rule in words."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command import ROOT

# A package imports only from rows above its own, and from itself.
LAYERS = {
    "tagger": (
        {"types", "errors", "version"},
        {"genres", "files"},
        {"state", "audio", "report"},
        {"tags", "models"},
        {"inference", "writing"},
        {"app"},
        {"cli"},
        {"integrations"},
        {"__init__", "__main__"},
    ),
    "training": (
        {"__init__", "errors"},
        {"console", "memory"},
        {"options"},
        {"clips", "augment", "networks", "hyperparameters"},
        {"loop"},
        {"evaluation"},
        {"initial"},
        {"train", "search"},
        {"app"},
        {"finetune", "evaluate", "bank"},
    ),
}
HEAVY = (
    "torch",
    "transformers",
    "pandas",
    "numpy",
    "av",
    "soundfile",
    "mutagen",
    "huggingface_hub",
    "openpyxl",
)
FILES = sorted(path.relative_to(ROOT) for root in LAYERS for path in (ROOT / root).rglob("*.py"))


def package(path: Path) -> str:
    return Path(path.parts[1]).stem


def imported(path: Path) -> set[str]:
    """Dotted names of all that a file imports, inside functions and for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_down(path):
    layers = LAYERS[path.parts[0]]
    own = package(path)
    here = next(number for number, layer in enumerate(layers) if own in layer)
    lower = {own}.union(*layers[:here])
    used = {tuple(f"{name}.__init__".split(".")[:2]) for name in imported(path)}
    upward = {name for root, name in used if root == path.parts[0]} - lower
    assert not upward, f"{path} reaches up to {upward}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_the_tagger_does_not_know_the_training(path):
    assert path.parts[0] != "tagger" or not any(n.startswith("training") for n in imported(path))


@pytest.mark.parametrize("root", LAYERS)
def test_modules_of_a_package_import_each_other_in_one_direction(root):
    uses = {}
    modules = {
        ".".join(path.with_suffix("").parts): path for path in FILES if path.parts[0] == root
    }
    for name, path in modules.items():
        used = imported(path)
        uses[name] = {
            other
            for other in modules
            if other != name
            and any(u == other or u.startswith(f"{other}.") for u in used)
            and not other.endswith("__init__")
        }
    while removable := [name for name in uses if not uses[name] & set(uses)]:
        for name in removable:
            del uses[name]
    assert not uses, f"these import each other: {sorted(uses)}"


@pytest.mark.parametrize(
    "module", ["tagger", "tagger.cli", "tagger.types", "tagger.models.model", "tagger.app.config"]
)
def test_nothing_heavy_is_imported_before_it_is_needed(module):
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {set(HEAVY)}))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_stay_short(path):
    """About 300 lines: a file that grows beyond holds two things."""
    assert len((ROOT / path).read_text("utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=str)
def test_functions_fit_on_a_screen(path):
    """From `def` to the end; the options above a command are a table."""
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    long = {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno - f.lineno > 49}
    assert not long
