"""Clips that must not be in two parts: of one artist, or copies of one recording. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence

from training.clips.artists import artist_keys
from training.clips.clip import Clip


def copies(clips: Sequence[Clip]) -> list[str]:
    """A key for each clip, the same for copies: equal audio, or `song.mp3` beside `song.opus`."""
    return _joined([clip.path.as_posix() for clip in clips], map(_recordings, clips))


def artists(clips: Sequence[Clip]) -> list[str]:
    """A key for each clip, the same for clips that share an artist, and for copies.

    A clip without an artist belongs with all clips of its folder, if that is an album's: a folder
    below that of the label.
    """
    nameless = {clip.path.parent for clip in clips if not artist_keys(clip)}
    names = [min(artist_keys(clip), default=clip.path.as_posix()) for clip in clips]

    def shared(clip: Clip) -> Iterator[Hashable]:
        yield from _recordings(clip)
        for key in artist_keys(clip):
            yield "artist", key
        if clip.path.parent in nameless and "/" in clip.name:
            yield "folder", clip.path.parent

    return _joined(names, map(shared, clips))


def _recordings(clip: Clip) -> Iterator[Hashable]:
    yield "file", clip.path.with_suffix("")
    if clip.audio:
        yield "audio", clip.audio


def _joined(names: Sequence[str], shared: Iterable[Iterable[Hashable]]) -> list[str]:
    """For each name the first, in alphabetical order, of all that share something with it."""
    parent = list(range(len(names)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    owner: dict[Hashable, int] = {}
    for index, keys in enumerate(shared):
        for key in keys:
            one, other = root(owner.setdefault(key, index)), root(index)
            if names[one] <= names[other]:
                parent[other] = one
            else:
                parent[one] = other
    return [names[root(index)] for index in range(len(names))]
