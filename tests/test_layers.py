from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A number is a layer: a module imports only from lower ones.
RANK = {
    "errors": 0, "types": 0,
    "names": 0.5, "provenance": 0.5, "screen": 0.5, "presets": 0.5, "download": 0.5,
    "rules": 0.7, "ranking": 0.8, "config": 1,
    "library": 1, "windows": 1, "fbank": 1, "genres": 1, "albums": 1, "replace": 1, "heads": 1,
    "child": 1, "database": 1, "journal": 1.1, "state": 1.2,
    "pyav": 1, "decoders": 1.1, "stopping": 1.1, "network": 1,
    "id3v2": 1, "ilst": 1, "blocks": 1.1, "keys": 1.1, "families": 1.2, "rawfields": 1.3,
    "compare": 1.3,
    "hub": 1.4, "checkpoint": 1.5, "ensemble": 1.6, "fold": 1.55, "weights": 1.6,
    "audio": 2, "device": 1, "model": 2, "tags": 2, "report": 2, "edits": 2.1,
    "isolated": 2.5, "dataset": 3, "apply": 3, "undo": 3.1,
    "inference": 4,
    "catalogue": 2.1, "probes": 2, "found": 2.2, "known": 4.5, "doctor": 4.6,
    "app": 5, "amend": 5.1,
    "logfile": 2.1, "console": 5.4, "options": 5.5, "commands": 5.8, "cli": 6,
    "__init__": 7, "__main__": 7,
}  # fmt: skip
HEAVY = (
    "torch",
    "transformers",
    "pandas",
    "numpy",
    "av",
    "soundfile",
    "mutagen",
    "huggingface_hub",
)


def imported(path: Path) -> set[str]:
    """Dotted names of all that a file imports, inside functions and for type checkers too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def used_modules(path: Path) -> set[str]:
    names = {name.split(".")[1] for name in imported(path) if name.startswith("tagger.")}
    return names & set(RANK)


def modules() -> dict[str, Path]:
    return {path.stem: path for path in (ROOT / "tagger").glob("*.py")}


def test_every_module_has_a_rank():
    assert set(modules()) == set(RANK)


@pytest.mark.parametrize("module", RANK)
def test_imports_point_down(module):
    used = used_modules(modules()[module])
    upward = {name for name in used if RANK[name] >= RANK[module]}
    assert not upward, f"{module} reaches up to {upward}"


def test_the_tagger_does_not_know_the_training():
    knowing = {
        name
        for name, path in modules().items()
        if any(used.split(".")[0] == "training" for used in imported(path))
    }
    assert not knowing


@pytest.mark.parametrize(
    "module", ["tagger", "tagger.cli", "tagger.types", "tagger.model", "tagger.config"]
)
def test_nothing_heavy_is_imported_before_it_is_needed(module):
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {set(HEAVY)}))"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == []


def test_files_stay_short():
    """About 300 lines: a file that grows beyond holds two things."""
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > 300} == {}
