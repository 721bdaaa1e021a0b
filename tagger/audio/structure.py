"""What the headers of a file are worth, as cheap evidence of its data says."""

from __future__ import annotations

from dataclasses import dataclass

TRUNCATED = 0.95  # share of the stated length that must be there
MOST_READ = 1 << 18  # bytes of audio that are read as a whole; of more, only pieces are
MOST_SEARCHED = 1 << 31  # bytes that are read as a whole where the pieces disagree; 14 h of an MP3
PIECES, PIECE = 7, 4096  # places besides the start, and bytes at each


@dataclass(frozen=True, slots=True)
class Structure:
    """An ordinary file by default: its stated length is right, and a seek finds the right place.

    With a `fault`, neither is so. If it also `is_irregular`, packets and time stamps mislead too:
    other data are taken for packets, or time stamps begin anew. It has to be decoded from its
    start, and its samples counted. If it `is_truncated`, a stated number of frames or samples,
    which does not depend on the size of the file, says that its end is missing.
    """

    fault: str | None = None
    is_irregular: bool = False
    is_truncated: bool = False


def places(start: int, end: int, pieces: int = PIECES, piece: int = PIECE) -> list[int]:
    """Offsets of pieces, equally far apart up to the end; none at the start."""
    room = max(0, end - start - piece)
    return [start + room * number // pieces for number in range(1, pieces + 1)]
