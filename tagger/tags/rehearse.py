"""What a write or an undo would refuse, found out without writing: the same edit, in memory.

The comparison of the audio is left out, since it reads the whole file. Only a FLAC with a block of
a wrong size, which a write corrects, is known to fail there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tagger.errors import TagError
from tagger.files.rehearsal import rehearsing
from tagger.tags.genre_tag import other_tags, restore_fields, write_genres
from tagger.tags.verify import flac_start
from tagger.types import GenreFields, TagOptions


def check_write(path: Path, genres: Sequence[str], note: str, options: TagOptions) -> None:
    """Raise the `TagError` that `genre_tag.write_genres` or the proof after it would raise."""
    _check(path, lambda copy: write_genres(copy, genres, note, options), options)


def check_restore(path: Path, fields: GenreFields) -> None:
    """Raise the `TagError` that `genre_tag.restore_fields` or the proof after it would raise."""
    _check(path, lambda copy: restore_fields(copy, fields, path), fields.options)


def compare(what: str, before: object, after: object, path: Path) -> None:
    """Raise `TagError` if something else than the genre would change."""
    if before == after:
        return
    detail = ""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        changed = sorted(k for k in {*before, *after} if before.get(k) != after.get(k))
        detail = f" ({', '.join(changed[:3])})"
    raise TagError(f"writing would change its {what}{detail}, so it was not written", path)


def _check(path: Path, edit: Callable[[Path], None], options: TagOptions) -> None:
    with rehearsing(path) as copy:
        try:
            before, start = other_tags(copy, options), flac_start(copy)
            edit(copy)
            compare("tag", before, other_tags(copy, options), path)
            compare("audio", start, flac_start(copy), path)
        except TagError as error:
            error.path = path
            if not copy.content.is_full:  # else nothing is known
                raise
