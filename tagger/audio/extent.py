"""Where the audio of a file begins and ends that may have tags in front of it and behind it."""

from __future__ import annotations

from typing import IO

from tagger.audio.id3 import HEADER, MOST_TAGS, from_synchsafe, id3_size


def read_at(file: IO[bytes], at: int, count: int) -> bytes:
    """Up to `count` bytes from offset `at`."""
    file.seek(at)
    return file.read(count)


def skip_front(file: IO[bytes], end: int, *, blanks: bool) -> int:
    """Where the tags at the start end; with `blanks`, the zeros and line ends around them too."""
    at = 0
    for _ in range(MOST_TAGS):
        head = read_at(file, at, 4096)
        if size := id3_size(head[:HEADER]):
            at += size
        elif head.startswith(b"APETAGEX"):  # with its header, which the size does not count
            at += 32 + int.from_bytes(head[12:16], "little")
        elif blanks and (count := len(head) - len(head.lstrip(b"\0\r\n"))):
            at += count
        else:
            break
        if at >= end:
            break
    return at


def skip_back(file: IO[bytes], start: int, end: int) -> int:
    """Where the tags at the end start: ID3v1, TAG+, Lyrics3, APEv2 and ID3v2, in any order."""
    for _ in range(MOST_TAGS):
        tail = read_at(file, max(start, end - 5200), min(5200, end - start))
        size = _tag_size(tail)
        if not 0 < size <= end - start:
            break
        end -= size
    return end


def _tag_size(tail: bytes) -> int:
    """Bytes of the tag that ends with these bytes; 0 if none does."""
    if tail[-32:].startswith(b"APETAGEX"):
        has_header = tail[-12:-8][3] & 0x80
        return int.from_bytes(tail[-20:-16], "little") + (32 if has_header else 0)
    if tail[-128:].startswith(b"TAG") and len(tail) >= 128:
        return 128
    if tail[-227:].startswith(b"TAG+") and len(tail) >= 227:
        return 227
    if tail.endswith(b"LYRICS200") and tail[-15:-9].isdigit():
        return 15 + int(tail[-15:-9])
    if tail.endswith(b"LYRICSEND") and b"LYRICSBEGIN" in tail:
        return len(tail) - tail.rindex(b"LYRICSBEGIN")
    if tail[-10:].startswith(b"3DI"):
        return 2 * HEADER + from_synchsafe(tail[-4:])
    return 0
