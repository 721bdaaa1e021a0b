"""What the folders of a tree of clips mean: label, artist, and the part of a split. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from training.clips.parts import stated_parts

Parts = tuple[str, ...]  # of a path below the folder of the data


class Place(NamedTuple):
    """What the folders say of one file."""

    label: str
    name: str  # the path below the folder of the label, without suffix
    artist: str = ""
    part: str = ""  # as `parts.stated_part` gives it


def read_tree(files: Sequence[Parts]) -> list[Place | None]:
    """The place of each file, None for one that has no label.

    - A folder is a wrapper if it has no audio file and just one subfolder, and that one is not a
      label (has no audio file itself). The subfolders of the first folder that is no wrapper are
      the labels; files beside them have no label. So `Data/genres_original/blues/blues.00000.wav`
      is a clip of blues, and `Rock/Queen/Jazz/01.flac` is a clip of Rock by Queen: the first folder
      below a label is the artist. In a deep tree of a single genre, that genre is mistaken for a
      wrapper.
    - Folders such as train, test or fold1 above the labels (`train/blues/1.wav`) are the parts of a
      split if there are no other folders beside them. So are those just below the labels
      (`blues/train/1.wav`), if all labels have only such folders there.
    """
    above = _part_depth(files)
    start = 0 if above is None else above + 1
    depth = start + label_depth([parts[start:] for parts in files if len(parts) > start + 1])
    below = depth + 1 if above is None and _are_parts(files, depth + 1) else None
    if above is not None and not any(len(parts) > depth + 1 for parts in files):
        above, depth, below = None, label_depth(files), None
    at = below if above is None else above
    stated = {} if at is None else _stated(files, at)
    return [_place(parts, depth, at, stated) for parts in files]


def label_depth(files: Sequence[Parts]) -> int:
    """How many wrapper folders enclose the labels' folders."""
    depth = 0
    # No file in the folder itself or in its only subfolder, and no second subfolder.
    while files and min(map(len, files)) > depth + 2 and len({parts[depth] for parts in files}) < 2:
        depth += 1
    return depth


def _place(parts: Parts, depth: int, at: int | None, stated: dict[str, str]) -> Place | None:
    """`at` is the depth of the folders of parts, which state that."""
    if len(parts) <= depth + 1:
        return None
    rest = parts[depth + 1 :]
    part = ""
    if at is not None and len(parts) > at + 1:
        part = stated[parts[at]]
        rest = rest[1:] if at > depth else rest
    return Place(
        label=parts[depth],
        name=PurePosixPath(*rest).with_suffix("").as_posix(),
        artist=rest[0] if len(rest) > 1 else "",
        part=part,
    )


def _part_depth(files: Sequence[Parts]) -> int | None:
    """How deep the folders of parts lie, if these enclose the labels; loose files do not matter."""
    deep = [parts for parts in files if len(parts) > 2]
    depth = 0
    while deep:
        stated = _stated(files, depth)
        if all(stated[parts[depth]] for parts in deep):
            return depth if all(stated.values()) else None
        if len({parts[depth] for parts in deep}) > 1:
            return None
        depth += 1
        deep = [parts for parts in deep if len(parts) > depth + 2]
    return None


def _stated(files: Sequence[Parts], depth: int) -> dict[str, str]:
    """What the folders at this depth state, see `parts.stated_parts`."""
    return stated_parts({parts[depth] for parts in files if len(parts) > depth + 1})


def _are_parts(files: Sequence[Parts], depth: int) -> bool:
    """Whether all folders at this depth are parts, of at least two names."""
    stated = set(_stated(files, depth).values())
    return "" not in stated and len(stated) > 1
