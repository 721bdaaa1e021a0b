"""Labelled clips, from a folder per label, GTZAN's archive as downloaded, or a CSV of paths."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tagger.files.ignore import is_system_folder
from tagger.files.scan import SUFFIXES
from training.clips.archives import ARCHIVE_SUFFIXES, is_archive, unpack
from training.clips.clip import Clip
from training.clips.tables import read_table
from training.errors import TrainingError

PATH = ("path", "file")  # names of a CSV's columns, the preferred one first
LABEL = ("label", "genre")
CLIP = ("file", "name", "path")  # names of the column that identifies a clip in a CSV of artists
ARTIST = ("artist",)


def find_clips(source: Path, artists: Path | None = None) -> list[Clip]:
    """The labelled clips of a folder, an archive or a CSV, ordered by label and name.

    - Folder: only folders with audio somewhere below count. A folder is a wrapper if it has no
      audio file and just one subfolder, and that one is not a label (has no audio file itself). The
      subfolders of the first folder that is no wrapper are the labels; files beside them have no
      label and are not used. So `Data/genres_original/blues/blues.00000.wav` is a clip of blues,
      and `Rock/Queen/Jazz/01.flac` is a clip of Rock by Queen: the first folder below a label is
      the artist. In a deep tree of a single genre, that genre is mistaken for a wrapper.
    - Archive (`ARCHIVE_SUFFIXES`): the same for its unpacked content.
    - CSV: columns `path` (or `file`; relative to the CSV), `label` (or `genre`), perhaps `artist`.
      A clip is named by its file, or by its path in the CSV if two clips of a label share that.

    `artists` is a CSV of artists for any of these, see `name_artists`. Hidden files in folders are
    ignored. Raises `TrainingError` if there is no clip, if a named one is missing, or if two share
    a label and a name, since a split list could not distinguish them.
    """
    clips = _clips_of(source)
    if not clips:
        raise TrainingError(
            f"no labelled clip in {source}: it needs a folder per label with audio files in it, "
            "such as blues/blues.00000.wav",
            source,
        )
    by_name: dict[tuple[str, str], Clip] = {}
    for clip in clips:
        first = by_name.setdefault((clip.label, clip.name), clip)
        if first is not clip:
            raise TrainingError(
                f"two clips have the same name: {first.path} and {clip.path}", clip.path
            )
    ordered = [by_name[key] for key in sorted(by_name)]
    return ordered if artists is None else name_artists(ordered, artists)


def find_unlabelled(folder: Path) -> list[Clip]:
    """Every audio file below a folder as a clip without a label (`""`), ordered by path."""
    clips = [Clip(path, "", path.stem) for path in _files(folder)]
    if not clips:
        raise TrainingError(f"no audio file in {folder}", folder)
    return clips


def name_artists(clips: Sequence[Clip], table: Path) -> list[Clip]:
    """The clips with the artists from a CSV; a clip that is not in it keeps its artist.

    The CSV has a column `artist` and one of `file`, `name` or `path`: the clip's path relative to
    the CSV, its name, or its file's name, each with or without suffix. A name counts if only one
    clip has it and the CSV gives it only one artist. Raises `TrainingError` if the CSV names none
    of the clips.
    """
    artists_of: defaultdict[str, set[str]] = defaultdict(set)
    for row in read_table(table, CLIP, ARTIST):
        cell = row.cells[CLIP[0]]
        if cell and row.cells["artist"]:
            for key in {_absolute(table.parent / cell), _bare(cell), _bare(Path(cell).name)}:
                artists_of[key].add(row.cells["artist"])
    keys = [(_absolute(clip.path), clip.name, _bare(clip.path.name)) for clip in clips]
    owners = Counter(key for of_clip in keys for key in set(of_clip))
    named = []
    for clip, of_clip in zip(clips, keys, strict=True):
        certain = [key for key in of_clip if owners[key] == 1 and len(artists_of.get(key, ())) == 1]
        named.append(replace(clip, artist=min(artists_of[certain[0]])) if certain else clip)
    if not owners.keys() & artists_of.keys():
        raise TrainingError(f"{table} names none of the clips", table)
    return named


def _clips_of(source: Path) -> list[Clip]:
    if source.is_dir():
        return _tree_clips(source)
    if not source.is_file():
        raise TrainingError(f"{source} is neither a folder nor a file", source)
    if is_archive(source):
        return _tree_clips(unpack(source))
    if source.suffix.lower() == ".csv":
        return _table_clips(source)
    known = ", ".join(ARCHIVE_SUFFIXES)
    raise TrainingError(f"{source} is not a folder, archive ({known}) or CSV", source)


def _tree_clips(folder: Path) -> list[Clip]:
    """Clips of a tree by the rule of `find_clips`; two may share a name."""
    files = [(path, path.relative_to(folder).parts) for path in _files(folder)]
    depth = _label_depth([parts for _, parts in files])
    return [
        Clip(
            path,
            label=parts[depth],
            name=PurePosixPath(*parts[depth + 1 :]).with_suffix("").as_posix(),
            artist=parts[depth + 1] if len(parts) > depth + 2 else "",
        )
        for path, parts in files
        if len(parts) > depth + 1
    ]


def _label_depth(files: Sequence[tuple[str, ...]]) -> int:
    """How many wrapper folders enclose the labels' folders; `files` are split at each `/`."""
    depth = 0
    # No file in the folder itself or in its only subfolder, and no second subfolder.
    while files and min(map(len, files)) > depth + 2 and len({parts[depth] for parts in files}) < 2:
        depth += 1
    return depth


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise TrainingError(f"{folder} is not a folder", folder)
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(
            name for name in folders if not (name.startswith(".") or is_system_folder(name))
        )
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.suffix.lower() in SUFFIXES:
                yield path


def _table_clips(table: Path) -> list[Clip]:
    """Clips of a CSV; two may share a name. Raises `TrainingError` if one has no file or label."""
    rows = read_table(table, PATH, LABEL)
    if unlabelled := [row for row in rows if not row.cells["label"] or not row.cells["path"]]:
        raise TrainingError(
            f"{len(unlabelled)} of {len(rows)} rows of {table} lack a path or a label, the first "
            f"in row {unlabelled[0].number}",
            table,
        )
    paths = [table.parent / row.cells["path"] for row in rows]
    if missing := [path for path in paths if not path.is_file()]:
        raise TrainingError(
            f"{len(missing)} of {len(rows)} files that {table} names are missing, the first is "
            f"{missing[0]}",
            table,
        )
    # Under two labels, one file could be both in the train part and in another.
    repeated, count = Counter(map(_absolute, paths)).most_common(1)[0]
    if count > 1:
        raise TrainingError(f"{table} names {repeated} {count} times", table)
    places = list(zip(rows, paths, strict=True))
    files = Counter((row.cells["label"], path.stem) for row, path in places)
    return [
        Clip(
            path,
            label=row.cells["label"],
            name=path.stem
            if files[row.cells["label"], path.stem] == 1
            else _bare(row.cells["path"]),
            artist=row.cells.get("artist", ""),
        )
        for row, path in places
    ]


def _absolute(path: Path) -> str:
    return os.path.abspath(path)


def _bare(name: str) -> str:
    """A path without an audio suffix: `blues.00000` has none."""
    path = Path(name)
    return (path.with_suffix("") if path.suffix.lower() in SUFFIXES else path).as_posix()
