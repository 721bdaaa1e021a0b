"""The length of the ID3v2 tags in front of the audio, which decides where the audio starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tagger.errors import AudioError

HEADER = 10  # bytes of a tag's header, and of the footer that only ID3v2.4 has
FOOTER = 0x10  # flag of a tag
MOST_TAGS = 100  # in front of one MP3; more only keep a reader busy, with ten bytes for each


def id3_size(header: bytes) -> int:
    """Bytes of a whole ID3v2 tag that starts with these ten bytes; 0 if none does.

    Before 2.4 the flag of a footer has no meaning (id3.org, ID3v2.2 and 2.3 section 3.1, 2.4
    section 3.4). FFmpeg and mutagen check the version too; TagLib and libsndfile check only the
    flag, and so mistake ten bytes of audio for a footer.
    """
    if len(header) < HEADER or not header.startswith(b"ID3"):
        return 0
    major, flags = header[3], header[5]
    footer = HEADER if major == 4 and flags & FOOTER else 0
    return HEADER + from_synchsafe(header[6:10]) + footer


def from_synchsafe(data: bytes) -> int:
    """A number stored with 7 bits per byte."""
    return sum((byte & 0x7F) << 7 * i for i, byte in enumerate(reversed(data)))


def skip_id3(file: IO[bytes]) -> None:
    """Seek to the end of the ID3v2 tags at the start. Raises `AudioError` if there are too many."""
    end = 0
    for start, header in _headers(file):
        end = start + id3_size(header)
    file.seek(end)


def lacks_footer(path: Path) -> bool:
    """Whether a tag at the start has the flag of a footer, but no footer follows it.

    libsndfile then skips ten bytes of audio, and with them the frame that states the length: it
    read 3.7 s of a 12 s file of variable bit rate, with no error.
    """
    with path.open("rb") as file:
        for start, header in _headers(file):
            file.seek(start + HEADER + from_synchsafe(header[6:10]))
            if header[5] & FOOTER and file.read(3) != b"3DI":
                return True
    return False


def _headers(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Offset and header of each ID3v2 tag at the start."""
    start = 0
    for _ in range(MOST_TAGS + 1):
        file.seek(start)
        header = file.read(HEADER)
        size = id3_size(header)
        if not size:
            return
        yield start, header
        start += size
    raise AudioError(f"it begins with more than {MOST_TAGS} ID3 tags", Path(file.name))
