"""Clips that a table names: a CSV, or the metadata.csv and metadata.jsonl of Hugging Face."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tagger.errors import ReportError
from tagger.files.scan import SUFFIXES
from tagger.report.csv_reader import CsvFormat, Row, read_rows
from training.clips.clip import Clip
from training.clips.parts import stated_part
from training.clips.walk import audio_files
from training.errors import TrainingError

# Names of columns, the preferred one first; compared in lower case, with spaces as "_".
PATH = (
    "path", "file", "file_name", "filename", "filepath", "file_path", "audio", "audio_path",
    "audio_file", "clip", "fname", "slice_file_name", "location", "track",
)  # fmt: skip
LABEL = (
    "label", "genre", "category", "class", "labels", "genres", "class_name", "genre_top", "style",
)  # fmt: skip
ARTIST = ("artist", "artists", "artist_name", "album_artist", "albumartist", "performer")
PART = ("split", "part", "fold", "subset", "partition", "set")
METADATA = ("metadata.csv", "metadata.jsonl")  # what Hugging Face's AudioFolder reads

LENIENT = CsvFormat(strict=False)


def read_table(path: Path, *needed: Sequence[str]) -> list[Row]:
    """The rows of a CSV with a header, or of JSON lines; cells are stripped, empty rows left out.

    Each of `needed` has the names of one column, the preferred one first; its cells are stored
    under the first name, and are `""` if missing. Raises `TrainingError` if a column is missing,
    the file cannot be read as a table, or there is no row.
    """
    empty = {names[0]: "" for names in needed}
    try:
        found = _json_rows(path, needed) if _is_json(path) else read_rows(path, needed, LENIENT)
        rows = [
            Row(row.number, empty | {name: cell.strip() for name, cell in row.cells.items()})
            for row in found
        ]
    except ReportError as error:
        raise TrainingError(str(error), path) from error
    rows = [row for row in rows if any(row.cells.values())]
    if not rows:
        raise TrainingError(f"{path} has no rows", path)
    return rows


def metadata_files(folder: Path) -> list[Path]:
    """The tables of a folder, or of its folders of parts, that name its clips and their labels."""
    folders = [folder, folder / "data", *sorted(folder.glob("*/")), *sorted(folder.glob("data/*/"))]
    wanted = [at for at in folders if at in folders[:2] or stated_part(at.name)]
    tables = [at / name for at in dict.fromkeys(wanted) for name in METADATA]
    return [table for table in tables if table.is_file() and _names_labels(table)]


def table_clips(tables: Sequence[Path], top: Path) -> list[Clip]:
    """The clips in these tables below a folder; two may share a name.

    A path is relative to its table; a mere file name may lie anywhere below `top`. The part is that
    of a column, or of the folders on the path. Raises `TrainingError` if a file or a label is
    missing.
    """
    clips = [clip for table in tables for clip in _clips_of(table, top)]
    # Under two labels, one file could be both in the train part and in another.
    repeated, count = Counter(os.path.abspath(clip.path) for clip in clips).most_common(1)[0]
    if count > 1:
        raise TrainingError(f"{tables[0]} names {repeated} {count} times", tables[0])
    parts = [clip.part for clip in clips]
    if not all(parts):
        parts = [_part_of_path(clip.path, top) for clip in clips]
    return [
        replace(clip, part=part if all(parts) else "")
        for clip, part in zip(clips, parts, strict=True)
    ]


def bare(name: str) -> str:
    """A path without an audio suffix: `blues.00000` has none."""
    path = Path(name)
    return (path.with_suffix("") if path.suffix.lower() in SUFFIXES else path).as_posix()


def _clips_of(table: Path, top: Path) -> list[Clip]:
    """The clips of one table. Raises `TrainingError` if one has no file or label."""
    rows = read_table(table, PATH, LABEL)
    if unlabelled := [row for row in rows if not row.cells["label"] or not row.cells["path"]]:
        raise TrainingError(
            f"{len(unlabelled)} of {len(rows)} rows of {table} lack a path or a label, the first "
            f"in row {unlabelled[0].number}",
            table,
        )
    paths = _found([table.parent / row.cells["path"].replace("\\", "/") for row in rows], top)
    if missing := [path for path in paths if not path.is_file()]:
        raise TrainingError(
            f"{len(missing)} of {len(rows)} files that {table} names are missing, the first is "
            f"{missing[0]}",
            table,
        )
    files = Counter((row.cells["label"], path.stem) for row, path in zip(rows, paths, strict=True))
    parts = _stated([_first(row, PART) for row in rows])
    return [
        Clip(
            path,
            label=row.cells["label"],
            name=path.stem
            if files[row.cells["label"], path.stem] == 1
            else bare(row.cells["path"]),
            artist=_first(row, ARTIST),
            part=part,
        )
        for row, path, part in zip(rows, paths, parts, strict=True)
    ]


def _first(row: Row, names: Sequence[str]) -> str:
    return next((cell for name in names if (cell := row.cells.get(name, ""))), "")


def _stated(cells: Sequence[str]) -> list[str]:
    """The part in each cell of a column; all empty if it is a column of something else."""
    parts = [f"fold{int(cell)}" if cell.isdecimal() else stated_part(cell) for cell in cells]
    return parts if all(parts) else [""] * len(cells)


def _part_of_path(path: Path, top: Path) -> str:
    """The part that a folder between `top` and the file names."""
    if not path.is_relative_to(top):
        return ""
    folders = PurePosixPath(path.relative_to(top)).parts[:-1]
    return next(filter(None, map(stated_part, folders)), "")


def _found(paths: Sequence[Path], top: Path) -> list[Path]:
    """The paths, those that are missing replaced by the only file of that name below `top`."""
    if all(path.is_file() for path in paths):
        return list(paths)
    files = audio_files(top)
    count = Counter(path.name for path in files)
    only = {path.name: path for path in files if count[path.name] == 1}
    return [path if path.is_file() else only.get(path.name, path) for path in paths]


def _is_json(path: Path) -> bool:
    return path.suffix.lower() in (".jsonl", ".json", ".ndjson")


def _json_rows(path: Path, needed: Sequence[Sequence[str]]) -> Iterable[Row]:
    """One row for each line, a JSON object. Raises `TrainingError`."""
    rows = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            values = {
                "_".join(str(name).casefold().split()): _cell(value)
                for name, value in json.loads(line).items()
            }
            for names in needed:
                if found := next(filter(values.__contains__, names), None):
                    values[names[0]] = values[found]
            if lacking := [names for names in needed if names[0] not in values]:
                raise TrainingError(f"{path}: line {number} has no {' or '.join(lacking[0])}", path)
            rows.append(Row(number, values))
    except (OSError, ValueError, AttributeError) as error:
        raise TrainingError(f"{path} cannot be read as JSON lines: {error}", path) from error
    return rows


def _cell(value: object) -> str:
    """A value as the text of a cell; a list of one, as of genres, is that one."""
    if isinstance(value, list) and len(value) == 1:
        return _cell(value[0])
    return "" if value is None else str(value)


def _names_labels(table: Path) -> bool:
    """Whether a table has a path and a label in each row; other metadata says nothing here."""
    try:
        read_table(table, PATH, LABEL)
    except TrainingError:
        return False
    return True
