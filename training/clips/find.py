"""Labelled clips, from a folder per label, GTZAN's archive as downloaded, or a CSV of paths."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from training.clips.archives import ARCHIVE_SUFFIXES, is_archive, unpack
from training.clips.clip import Clip
from training.clips.parts import roles
from training.clips.tables import bare, metadata_files, read_table, table_clips
from training.clips.tree import read_tree
from training.clips.walk import audio_files
from training.errors import TrainingError

CLIP = ("file", "name", "path")  # names of the column that identifies a clip in a CSV of artists
ARTIST = ("artist",)
TABLES = (".csv", ".jsonl")

Say = Callable[[str], None]


def find_clips(source: Path, artists: Path | None = None, say: Say | None = None) -> list[Clip]:
    """The labelled clips of a folder, an archive or a table, ordered by label and name.

    - Folder: the labels are names of folders, see `tree.read_tree`. Where the folder, or its
      folders of parts, hold a `metadata.csv` or `metadata.jsonl` with labels, that counts instead.
    - Archive (`ARCHIVE_SUFFIXES`): the same for its unpacked content.
    - CSV or JSON lines: a path (relative to the table) and a label, perhaps an artist and a part,
      see `tables.table_clips`. A clip is named by its file, or by its path in the table if two
      clips of a label share that.

    Two clips of a label that would have the same name, such as `song.mp3` beside `song.opus`, get
    longer ones. `artists` is a CSV of artists for any of these, see `name_artists`. Audio files
    that get no label are counted in a line to `say`. Raises `TrainingError` if there is no clip, or
    if a named one is missing.
    """
    clips = _clips_of(source, say or (lambda _: None))
    if not clips:
        raise TrainingError(
            f"no labelled clip in {source}: it needs a folder per label with audio files in it, "
            "such as blues/blues.00000.wav",
            source,
        )
    role = roles({clip.part for clip in clips if clip.part})
    # A label has one form, whichever a file system keeps ("ú" may be one character or two).
    clips = [
        replace(clip, part=role.get(clip.part, ""), label=unicodedata.normalize("NFC", clip.label))
        for clip in clips
    ]
    ordered = sorted(_distinct(clips), key=lambda clip: (clip.label, clip.name))
    return ordered if artists is None else name_artists(ordered, artists)


def find_unlabelled(folder: Path) -> list[Clip]:
    """Every audio file below a folder as a clip without a label (`""`), ordered by path."""
    clips = [Clip(path, "", path.stem) for path in audio_files(folder)]
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
            for key in {_absolute(table.parent / cell), bare(cell), bare(Path(cell).name)}:
                artists_of[key].add(row.cells["artist"])
    keys = [(_absolute(clip.path), clip.name, bare(clip.path.name)) for clip in clips]
    owners = Counter(key for of_clip in keys for key in set(of_clip))
    named = []
    for clip, of_clip in zip(clips, keys, strict=True):
        certain = [key for key in of_clip if owners[key] == 1 and len(artists_of.get(key, ())) == 1]
        named.append(replace(clip, artist=min(artists_of[certain[0]])) if certain else clip)
    if not owners.keys() & artists_of.keys():
        raise TrainingError(f"{table} names none of the clips", table)
    return named


def _clips_of(source: Path, say: Say) -> list[Clip]:
    if source.is_dir():
        return _folder_clips(source, say)
    if not source.is_file():
        raise TrainingError(f"{source} is neither a folder nor a file", source)
    if is_archive(source):
        return _folder_clips(unpack(source), say)
    if source.suffix.lower() in TABLES:
        return table_clips([source], source.parent)
    known = ", ".join(ARCHIVE_SUFFIXES)
    raise TrainingError(f"{source} is not a folder, archive ({known}) or CSV", source)


def _folder_clips(folder: Path, say: Say) -> list[Clip]:
    """Clips of a folder by the rule of `find_clips`; two may share a name."""
    files = audio_files(folder)
    if tables := metadata_files(folder):
        clips = table_clips(tables, folder)
        say(f"labels from {', '.join(str(table) for table in tables)}")
    else:
        places = read_tree([path.relative_to(folder).parts for path in files])
        clips = [
            Clip(path, place.label, place.name, place.artist, place.part)
            for path, place in zip(files, places, strict=True)
            if place is not None
        ]
    used = {clip.path for clip in clips}
    if clips and (loose := [path for path in files if path not in used]):
        say(f"{len(loose)} audio files have no label and are not used, the first is {loose[0]}")
    return clips


def _distinct(clips: Sequence[Clip]) -> list[Clip]:
    """The clips, with longer names for those that share label and name: "a" becomes "a.mp3"."""

    def longer(clips: Sequence[Clip], rename: Callable[[Clip], str]) -> list[Clip]:
        counts = Counter((clip.label, clip.name) for clip in clips)
        return [
            replace(clip, name=rename(clip)) if counts[clip.label, clip.name] > 1 else clip
            for clip in clips
        ]

    clips = longer(clips, lambda clip: f"{clip.part}/{clip.name}" if clip.part else clip.name)
    clips = longer(clips, lambda clip: clip.name + clip.path.suffix)
    return longer(clips, lambda clip: clip.path.as_posix())


def _absolute(path: Path) -> str:
    return os.path.abspath(path)
