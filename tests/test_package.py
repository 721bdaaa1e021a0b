"""A built distribution holds all of the packages, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from helpers.command import ROOT

BUILD = "from setuptools import build_meta; build_meta.build_{}('dist')"
PACKAGES = ("tagger", "training")
FROM_A_CLONE = "training/checkpoints"  # for figures that are measured again


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build may read, with what an old version of setuptools left there."""
    folder = tmp_path_factory.mktemp("build") / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "build", "dist")
    shutil.copytree(ROOT, folder, ignore=ignored)
    (folder / "build" / "lib" / "tagger").mkdir(parents=True)
    (folder / "build" / "lib" / "tagger" / "stale.py").touch()
    return folder


def built(checkout: Path, kind: str) -> Path:
    before = sorted(checkout.rglob("*"))
    command = [sys.executable, "-c", BUILD.format(kind)]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    (path,) = (checkout / "dist").iterdir()
    moved = path.rename(checkout.parent / path.name)
    path.parent.rmdir()
    assert sorted(checkout.rglob("*")) == before, "a build leaves nothing behind"
    return moved


def package_files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for package in PACKAGES
        for path in (folder / package).rglob("*")
        if path.is_file() and not path.is_relative_to(folder / FROM_A_CLONE)
    }


def test_a_wheel_holds_the_packages_with_their_data_and_no_tests(checkout: Path) -> None:
    with zipfile.ZipFile(built(checkout, "wheel")) as wheel:
        names = {name for name in wheel.namelist() if not name.endswith("/")}
    about = {name for name in names if ".dist-info/" in name}
    manual = {name for name in names if ".data/data/share/man/man1/" in name}
    pages = {name for name in package_files(checkout) if name.endswith(".1")}
    assert names - about - manual == package_files(checkout) - pages
    assert {Path(name).name for name in manual} == {Path(name).name for name in pages} != set()
    assert any(name.endswith("/LICENSE") for name in about)


def test_a_source_archive_holds_what_a_build_needs_and_no_tests(checkout: Path) -> None:
    with tarfile.open(built(checkout, "sdist")) as archive:
        names = {
            name.partition("/")[2]
            for name in archive.getnames()
            if archive.getmember(name).isfile()
        }
    others = {"LICENSE", "MANIFEST.in", "PKG-INFO", "README.md"}
    assert names == package_files(checkout) | others | {"pyproject.toml", "setup.cfg", "setup.py"}


@pytest.mark.parametrize(
    ("own", "wanted"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "passive"}, "None")],
)
def test_threads_wait_briefly_unless_the_user_has_decided(own: dict[str, str], wanted: str) -> None:
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {name: of for name, of in os.environ.items() if name not in names} | own
    # It counts only if it is set before torch is loaded.
    code = (
        "import os, sys, tagger; assert 'torch' not in sys.modules;"
        "print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    shown = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
    assert shown.strip() == wanted
