"""The folders in which the Hugging Face hub's library caches models; other programs use them too.

A model's folder has blobs (files named by the hash of their content) and snapshots (a folder for
each commit, with links to blobs). A snapshot appears once all of its files are complete.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tagger.errors import CheckpointError
from tagger.models.download import HubFile, content_hash

COMMIT = re.compile("[0-9a-f]{40}")
ABSENT = ".no_exist"  # folder in which the hub's library marks files that a commit lacks
HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")  # of a git blob by SHA-1, else SHA-256
CONFIGS = ("config.json", "preprocessor_config.json")
# The weights in one file, or in parts; pickles are the last choice, see `tagger.models.weights`.
WEIGHTS = (("model", "safetensors"), ("pytorch_model", "bin"))
MAX_PARTS = 1000
SPARE = 1 << 20  # bytes that must stay free on the disk


@dataclass(frozen=True, slots=True)
class Listing:
    """The hub's entry for a model: its commit, its licence, and the files to fetch."""

    commit: str
    licence: str  # "" if the hub names none
    files: tuple[HubFile, ...]


def cached(repo: str, revision: str | None = None) -> Path | None:
    """The folder of a complete checkpoint in the cache, named by its commit; None if there is none.

    Without a revision, it is the commit of `main` at the last download. Sends no request.
    """
    place = model_folder(repo)
    commit = revision or "main"
    if not COMMIT.fullmatch(commit):
        try:
            commit = (place / "refs" / commit).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
    return place / "snapshots" / commit if _is_whole(place, commit) else None


def forget_damaged(folder: Path) -> None:
    """Remove files whose content does not match the hash that is their name in the cache."""
    for pointer in folder.iterdir():
        if not pointer.is_symlink():
            continue
        blob = folder / os.readlink(pointer)  # perhaps a link itself, named by another kind of hash
        has_hash = HASH.fullmatch(blob.name) and blob.is_file()
        if has_hash and content_hash(blob, blob.name) != blob.name:
            blob.unlink()


def cache_folder() -> Path:
    """Where all models are; `HF_HOME` and `HF_HUB_CACHE` move it."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def model_folder(repo: str) -> Path:
    """The folder of a model, for all its commits."""
    return cache_folder() / f"models--{repo.replace('/', '--')}"


def _is_whole(place: Path, commit: str) -> bool:
    from huggingface_hub import constants

    if not COMMIT.fullmatch(commit):
        return False
    folder = place / "snapshots" / commit
    names = {path.name for path in folder.glob("*") if path.is_file()}
    # Another program may have downloaded only some files; those that the commit lacks are marked.
    absent = [name for name in CONFIGS if name not in names]
    marked = all((place / ABSENT / commit / name).is_file() for name in absent)
    settled = marked or constants.HF_HUB_OFFLINE  # offline, more cannot be found out
    return "config.json" in names and settled and bool(weight_names(names))


def weight_names(names: set[str]) -> list[str]:
    """Which of these files hold the weights: one, or all parts in order; [] if none do."""
    for stem, kind in WEIGHTS:
        if f"{stem}.{kind}" in names:
            return [f"{stem}.{kind}"]
        part = re.compile(rf"{stem}-\d{{5}}-of-(\d{{5}})\.{kind}")
        counts = {int(match[1]) for name in names if (match := part.fullmatch(name))}
        for count in sorted(counts):
            parts = [f"{stem}-{number:05}-of-{count:05}.{kind}" for number in range(1, count + 1)]
            if count <= MAX_PARTS and parts and names.issuperset(parts):
                return parts
    return []


def check_space(place: Path, size: int, name: str) -> None:
    """Raise `CheckpointError` if the disk of `place` has no room for `size` bytes of a model."""
    nearest = next(folder for folder in (place, *place.parents) if folder.is_dir())
    free = shutil.disk_usage(nearest).free
    started = sum(path.stat().st_size for path in place.glob("blobs/*.incomplete"))
    if free + started < size + SPARE:
        raise CheckpointError(
            f"{name} needs {size / 1e6:.1f} MB, and {nearest} has {free / 1e6:.1f} MB free: free "
            "some space, or set HF_HOME to a folder on another disk"
        )


def blob_path(place: Path, file: HubFile) -> Path:
    """The path of a file's content, below the model's folder `place`."""
    return place / "blobs" / file.hash


def is_there(place: Path, file: HubFile) -> bool:
    """Whether a file is in the cache, undamaged; a damaged one is removed."""
    blob = blob_path(place, file)
    if not blob.is_file():
        return False
    if blob.stat().st_size == file.size and content_hash(blob, file.hash) == file.hash:
        return True
    blob.unlink()
    return False


def add_snapshot(place: Path, revision: str, listing: Listing) -> Path:
    """Make a complete commit visible in the cache; returns its folder."""
    folder = place / "snapshots" / listing.commit
    folder.mkdir(parents=True, exist_ok=True)
    for absent in {*CONFIGS} - {file.name for file in listing.files}:
        mark = place / ABSENT / listing.commit / absent
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    for file in listing.files:
        blob, pointer = blob_path(place, file), folder / file.name
        if pointer.is_file() and pointer.stat().st_size == file.size:
            continue
        pointer.unlink(missing_ok=True)
        try:
            pointer.symlink_to(os.path.relpath(blob, folder))
        except OSError:  # Windows without the right to make links
            shutil.copyfile(blob, pointer)
    if revision != listing.commit:
        ref = place / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        scratch = ref.with_name(f"{ref.name}.{os.getpid()}")
        scratch.write_text(listing.commit, encoding="utf-8")
        scratch.replace(ref)
    return folder
