"""Checkpoints from the Hugging Face hub, downloaded into the cache of the hub's own library.

Only what a checkpoint needs is downloaded. Each file is checked against the hash that the hub
lists, and a commit appears in the cache once it is complete. An interrupted download is resumed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tagger.errors import CheckpointError
from tagger.models import cache
from tagger.models.cache import COMMIT, CONFIGS, HASH, Listing
from tagger.models.download import (
    Download,
    HubFile,
    Say,
    download_file,
    plain_errors,
    read_listing,
)
from tagger.models.folders import ADAPTER
from tagger.models.presets import find_preset, is_non_commercial
from tagger.report.streams import can_redraw

REPO = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
REVISION = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
MAX_SIZE = 1 << 50  # bytes of a file


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is known about a model on the hub before any request."""

    name: str  # as the user gave it
    repo: str
    revision: str | None = None  # None: the commit of `main` at the first download
    licence: str = ""


def wanted(name: str) -> Wanted | None:
    """The hub model for a preset's name, a hub id or `id@revision`; None if it is none of these."""
    repo, at, revision = name.partition("@")
    preset = find_preset(name) or find_preset(repo if "/" in repo else "")
    if preset and preset.repo:
        return Wanted(name, preset.repo, revision or preset.revision, preset.licence)
    usable = REPO.fullmatch(repo) and not {"--", ".."} & {repo[i : i + 2] for i in range(len(repo))}
    if not usable or len(repo) > 96 or (at and not _is_revision(revision)):
        return None
    return Wanted(name, repo, revision or None)


def _is_revision(text: str) -> bool:
    return bool(REVISION.fullmatch(text)) and ".." not in text and len(text) < 200


def page(repo: str) -> str:
    """The web page of a model."""
    return f"https://huggingface.co/{repo}"


def fetch(want: Wanted, say: Say, *, accepted: bool = False, quiet: bool = False) -> Path:
    """The folder of a checkpoint in the cache, downloaded if it is not there yet.

    `accepted`: the user agrees to a licence for non-commercial use; otherwise such a model is
    refused. `quiet` hides the progress bar. Raises `CheckpointError`, which says what to do.
    """
    if found := cache.cached(want.repo, want.revision):
        return found
    _check_licence(want, want.licence, accepted)
    from huggingface_hub import constants
    from huggingface_hub.utils import WeakFileLock

    folder = cache.cache_folder()
    if constants.HF_HUB_OFFLINE:
        raise CheckpointError(
            f"{want.name} is not in {folder}, and HF_HUB_OFFLINE is set: unset it, or give a folder"
        )
    place = cache.model_folder(want.repo)
    with plain_errors(want.name, folder):
        listing = _read_listing(want, say)
        _check_licence(want, listing.licence, accepted)
        lock = folder / ".locks" / place.name / "tag-genres.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            needed = {file.hash: file for file in listing.files}
            missing = [file for file in needed.values() if not cache.is_there(place, file)]
            if missing:
                _download(want, replace(listing, files=tuple(missing)), place, say, quiet=quiet)
            return cache.add_snapshot(place, want.revision or "main", listing)


def _download(want: Wanted, listing: Listing, place: Path, say: Say, *, quiet: bool) -> None:
    from huggingface_hub import constants

    size = sum(file.size for file in listing.files)
    cache.check_space(place, size, want.name)
    licence = want.licence or listing.licence or f"see {page(want.repo)}"
    say(
        f"downloading {want.repo} from the Hugging Face hub: {size / 1e6:.1f} MB, "
        f"licence {licence}, revision {listing.commit}"
    )
    with _bar(size, quiet) as bar:
        for file in listing.files:
            url = f"{constants.ENDPOINT}/{want.repo}/resolve/{listing.commit}/{file.name}"
            download = Download(url, file, want.name, say, bar.update)
            download_file(download, cache.blob_path(place, file))


def _check_licence(want: Wanted, licence: str, accepted: bool) -> None:
    if is_non_commercial(licence) and not accepted:
        raise CheckpointError(
            f"{want.name} is for non-commercial use only (its licence is {licence}, see "
            f"{page(want.repo)}): if you agree, get it with "
            f"`tag-genres models get {want.name} --accept-licence`"
        )


def _read_listing(want: Wanted, say: Say) -> Listing:
    """The hub's entry for a model, checked. Raises `CheckpointError`."""
    from huggingface_hub import constants

    revision = want.revision or "main"
    address = f"{constants.ENDPOINT}/api/models/{want.repo}/revision/{quote(revision, safe='')}"
    about = read_listing(f"{address}?blobs=true", want.name, say)
    try:
        commit = str(about["sha"])
        files = {str(entry["rfilename"]): entry for entry in about["siblings"]}
        weights = cache.weight_names(set(files))
        if not weights or "config.json" not in files:
            lacks = "safetensors or pytorch_model.bin" if not weights else "config.json"
            if ADAPTER in files:
                raise CheckpointError(
                    f"{want.name} is an adapter of another model: download it with `hf download "
                    f"{want.repo} --local-dir FOLDER`, and name that folder"
                )
            raise CheckpointError(f"{want.name} cannot be used as a model: it has no {lacks}")
        # The config comes last: once it is there, the download is complete.
        names = [*weights, *(name for name in reversed(CONFIGS) if name in files)]
        chosen = [_hub_file(name, files[name]) for name in names]
        card, tags = about.get("cardData") or {}, about.get("tags") or ()
        licence = card.get("license") or next(_licences(tags), "")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"{want.name}: the hub's list of its files is unusable") from error
    pinned = bool(COMMIT.fullmatch(revision))
    if not COMMIT.fullmatch(commit) or (pinned and commit != revision):
        raise CheckpointError(f"{want.name}: the hub returns another revision than {revision}")
    return Listing(commit, str(licence), tuple(chosen))


def _licences(tags: Iterable[str]) -> Iterator[str]:
    return (tag.partition(":")[2] for tag in tags if tag.startswith("license:"))


def _hub_file(name: str, entry: Mapping[str, Any]) -> HubFile:
    """Raises `KeyError`, `TypeError` or `ValueError` if size or hash are unusable."""
    large = entry.get("lfs") or {}
    size, known = int(large.get("size", entry["size"])), large.get("sha256") or entry["blobId"]
    if not 0 <= size <= MAX_SIZE or not HASH.fullmatch(known):  # it becomes the name of a file
        raise ValueError(name)
    return HubFile(name, size, known)


@contextmanager
def _bar(size: int, quiet: bool) -> Iterator[Any]:
    """A progress bar in bytes, on a terminal only."""
    from tqdm import tqdm

    hidden = quiet or not can_redraw(sys.stderr)
    with tqdm(
        total=size, desc="downloading", unit="B", unit_scale=True, leave=False, disable=hidden
    ) as bar:
        yield bar
