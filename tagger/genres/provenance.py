"""Our own field in a tag: which genres this program wrote, with which model. Pure: no files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence

from tagger.types import TagInfo

FIELD = "TAG_GENRES"  # its name; each container spells it in its own way, see `tagger.tags`


def make_note(genres: Sequence[str], *, model: str, fingerprint: str, confidence: float) -> str:
    """The content of the field: JSON on one line, with exactly the genres that were written.

    `model` and `fingerprint` name the checkpoint; `confidence` is that of the best genre, from 0
    to 1.
    """
    note = {
        "genres": list(genres),
        "model": model,
        "fingerprint": fingerprint,
        "confidence": round(confidence, 4),
    }
    # The name of a checkpoint's folder may not be valid text; a tag holds only text.
    return json.dumps(note, ensure_ascii=False).encode(errors="replace").decode()


def is_own(tag: TagInfo, parts: Callable[[Iterable[str]], Sequence[str]] = tuple) -> bool:
    """Whether the genres of a tag are exactly those that this program wrote.

    Genres that a person has changed since are that person's, and so are those beside a damaged
    note. `parts` gives the genres in values that some other program may have joined.
    """
    try:
        note = json.loads(tag.note)
    except (ValueError, RecursionError):
        return False
    genres = note.get("genres") if isinstance(note, dict) else None
    if not isinstance(genres, list) or not all(isinstance(genre, str) for genre in genres):
        return False
    return tuple(parts(genres)) == tuple(parts(tag.genres))
