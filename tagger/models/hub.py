"""Checkpoints of the Hugging Face hub, in the cache that its own library uses.

Only what a checkpoint needs is fetched, each file checked against the hash that the hub tells, and
a commit shows up in the cache when all of it is there. What was cut off goes on where it stopped.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tagger.errors import CheckpointError
from tagger.models.download import HubFile, Say, bring, content_hash, read_listing, told_plainly
from tagger.models.presets import find_preset, is_non_commercial

REPO = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*", re.ASCII)
REVISION = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
COMMIT = re.compile("[0-9a-f]{40}")
ABSENT = ".no_exist"  # the hub's own library marks here what a commit does not have
HASH = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")  # of a git blob by SHA-1, else SHA-256
CONFIGS = ("config.json", "preprocessor_config.json")
WHOLE, PART = "model.safetensors", re.compile(r"model-(\d{5})-of-(\d{5})\.safetensors")
PICKLE = "pytorch_model.bin"  # fetched where there is nothing else, see `tagger.weights`
MOST_PARTS = 1000
LARGEST = 1 << 50  # bytes of a file
SPARE = 1 << 20  # bytes that a disk must have beside the files


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model on the hub, as far as it is known without asking there."""

    name: str  # as the user gave it
    repo: str
    revision: str | None = None  # None: what `main` was at the first download
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What the hub says of a model: its commit, its licence, and the files to fetch."""

    commit: str
    licence: str  # "" where it tells none
    files: tuple[HubFile, ...]


def wanted(name: str) -> Wanted | None:
    """What the name of a preset, a hub id or `id@revision` stands for; None: for no hub model."""
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
    """Where people read about a model."""
    return f"https://huggingface.co/{repo}"


def cached(repo: str, revision: str | None = None) -> Path | None:
    """The folder of a whole checkpoint in the cache; None if it is not there. Asks nobody.

    Its name is the commit. Without a revision it is the one that `main` was when last asked for.
    """
    place = _cache() / _folder_name(repo)
    commit = revision or "main"
    if not COMMIT.fullmatch(commit):
        try:
            commit = (place / "refs" / commit).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            return None
    return place / "snapshots" / commit if _is_whole(place, commit) else None


def forget_damaged(folder: Path) -> None:
    """Remove what has another content than its name in the cache, a hash, stands for."""
    for pointer in folder.iterdir():
        if not pointer.is_symlink():
            continue
        blob = folder / os.readlink(pointer)  # a link as well, perhaps, to another kind of hash
        known = HASH.fullmatch(blob.name) and blob.is_file()
        if known and content_hash(blob, blob.name) != blob.name:
            blob.unlink()


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _folder_name(repo: str) -> str:
    return f"models--{repo.replace('/', '--')}"


def _is_whole(place: Path, commit: str) -> bool:
    from huggingface_hub import constants

    if not COMMIT.fullmatch(commit):
        return False
    folder = place / "snapshots" / commit
    names = {path.name for path in folder.glob("*") if path.is_file()}
    # Other programs may have left a part of it; what the repository itself lacks is marked so.
    absent = [name for name in CONFIGS if name not in names]
    marked = all((place / ABSENT / commit / name).is_file() for name in absent)
    told = marked or constants.HF_HUB_OFFLINE  # offline, nobody can tell more of it
    return "config.json" in names and told and bool(weight_names(names))


def weight_names(names: set[str]) -> list[str]:
    """Which of these files hold the weights: one, or all its parts in order; [] if none do."""
    if WHOLE in names:
        return [WHOLE]
    counts = {int(match[2]) for name in names if (match := PART.fullmatch(name))}
    for count in sorted(counts):
        parts = [f"model-{part:05}-of-{count:05}.safetensors" for part in range(1, count + 1)]
        if count <= MOST_PARTS and parts and names.issuperset(parts):
            return parts
    return [PICKLE] if PICKLE in names else []


def fetch(want: Wanted, say: Say, *, accepted: bool = False, quiet: bool = False) -> Path:
    """The folder of a checkpoint in the cache; it is downloaded if it is not there yet.

    `accepted`: a licence for non-commercial use is agreed to; without it such a model is refused.
    `quiet`: no bar. Raises `CheckpointError` with what to do.
    """
    if folder := cached(want.repo, want.revision):
        return folder
    _check_licence(want, want.licence, accepted)
    from huggingface_hub import constants
    from huggingface_hub.utils import WeakFileLock

    cache = _cache()
    if constants.HF_HUB_OFFLINE:
        raise CheckpointError(
            f"{want.name} is not in {cache}, and HF_HUB_OFFLINE is set: unset it, or give a folder"
        )
    place = cache / _folder_name(want.repo)
    with told_plainly(want.name, cache):
        listing = _ask(want, say)
        _check_licence(want, listing.licence, accepted)
        lock = cache / ".locks" / place.name / "tag-genres.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(lock):
            needed = {file.hash: file for file in listing.files}
            missing = [file for file in needed.values() if not _is_there(place, file)]
            if missing:
                _bring_all(want, listing, missing, place, say, quiet)
            return _settle(place, want.revision or "main", listing)


def _bring_all(
    want: Wanted, listing: Listing, files: Sequence[HubFile], place: Path, say: Say, quiet: bool
) -> None:
    from huggingface_hub import constants

    size = sum(file.size for file in files)
    _check_space(place, size, want.name)
    licence = want.licence or listing.licence or f"see {page(want.repo)}"
    say(
        f"downloading {want.repo} from the Hugging Face hub: {size / 1e6:.1f} MB, "
        f"licence {licence}, revision {listing.commit}"
    )
    with _bar(size, quiet) as bar:
        for file in files:
            url = f"{constants.ENDPOINT}/{want.repo}/resolve/{listing.commit}/{file.name}"
            bring(url, _blob(place, file), file, want.name, say, bar.update)


def _check_licence(want: Wanted, licence: str, accepted: bool) -> None:
    if is_non_commercial(licence) and not accepted:
        raise CheckpointError(
            f"{want.name} is for non-commercial use only (its licence is {licence}, see "
            f"{page(want.repo)}): if you agree, get it by "
            f"`tag-genres models get {want.name} --accept-licence`"
        )


def _ask(want: Wanted, say: Say) -> Listing:
    """What the hub says of a model, checked: its commit, its licence, and the files to fetch."""
    from huggingface_hub import constants

    revision = want.revision or "main"
    address = f"{constants.ENDPOINT}/api/models/{want.repo}/revision/{quote(revision, safe='')}"
    about = read_listing(f"{address}?blobs=true", want.name, say)
    try:
        commit = str(about["sha"])
        files = {str(entry["rfilename"]): entry for entry in about["siblings"]}
        weights = weight_names(set(files))
        if not weights or "config.json" not in files:
            lacks = "safetensors or pytorch_model.bin" if not weights else "config.json"
            raise CheckpointError(f"{want.name} is no model that can be used: it has no {lacks}")
        # The config last: when it is there, all is.
        names = [*weights, *(name for name in reversed(CONFIGS) if name in files)]
        chosen = [_hub_file(name, files[name]) for name in names]
        card, tags = about.get("cardData") or {}, about.get("tags") or ()
        licence = card.get("license") or next(_licences(tags), "")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise CheckpointError(f"{want.name}: the hub's list of its files is unusable") from error
    pinned = bool(COMMIT.fullmatch(revision))
    if not COMMIT.fullmatch(commit) or (pinned and commit != revision):
        raise CheckpointError(f"{want.name}: the hub gives another revision than {revision}")
    return Listing(commit, str(licence), tuple(chosen))


def _licences(tags: Iterable[str]) -> Iterator[str]:
    return (tag.partition(":")[2] for tag in tags if tag.startswith("license:"))


def _hub_file(name: str, entry: Mapping[str, Any]) -> HubFile:
    """Raises `KeyError`, `TypeError` or `ValueError` where size or hash are not told."""
    large = entry.get("lfs") or {}
    size, told = int(large.get("size", entry["size"])), large.get("sha256") or entry["blobId"]
    if not 0 <= size <= LARGEST or not HASH.fullmatch(told):  # it becomes the name of a file
        raise ValueError(name)
    return HubFile(name, size, told)


def _check_space(place: Path, size: int, name: str) -> None:
    nearest = next(folder for folder in (place, *place.parents) if folder.is_dir())
    free = shutil.disk_usage(nearest).free
    begun = sum(path.stat().st_size for path in place.glob("blobs/*.incomplete"))
    if free + begun < size + SPARE:
        raise CheckpointError(
            f"{name} needs {size / 1e6:.1f} MB, and {nearest} has {free / 1e6:.1f} MB free: make "
            "room, or set HF_HOME to a folder on another disk"
        )


@contextmanager
def _bar(size: int, quiet: bool) -> Iterator[Any]:
    """A bar that counts bytes, on a terminal only."""
    from tqdm import tqdm

    hidden = quiet or not (sys.stderr and sys.stderr.isatty())
    with tqdm(
        total=size, desc="downloading", unit="B", unit_scale=True, leave=False, disable=hidden
    ) as bar:
        yield bar


def _blob(place: Path, file: HubFile) -> Path:
    return place / "blobs" / file.hash


def _is_there(place: Path, file: HubFile) -> bool:
    """Whether its content is in the cache, unharmed; a damaged one is removed."""
    blob = _blob(place, file)
    if not blob.is_file():
        return False
    if blob.stat().st_size == file.size and content_hash(blob, file.hash) == file.hash:
        return True
    blob.unlink()
    return False


def _settle(place: Path, revision: str, listing: Listing) -> Path:
    """Show the commit in the cache, now that all of it is there."""
    folder = place / "snapshots" / listing.commit
    folder.mkdir(parents=True, exist_ok=True)
    for absent in {*CONFIGS} - {file.name for file in listing.files}:
        mark = place / ABSENT / listing.commit / absent
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    for file in listing.files:
        blob, pointer = _blob(place, file), folder / file.name
        if pointer.is_file() and pointer.stat().st_size == file.size:
            continue
        pointer.unlink(missing_ok=True)
        try:
            pointer.symlink_to(os.path.relpath(blob, folder))
        except OSError:  # Windows without the right to
            shutil.copyfile(blob, pointer)
    if revision != listing.commit:
        ref = place / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        scratch = ref.with_name(f"{ref.name}.{os.getpid()}")
        scratch.write_text(listing.commit, encoding="utf-8")
        scratch.replace(ref)
    return folder
