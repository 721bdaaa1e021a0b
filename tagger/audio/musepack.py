"""The length of a Musepack file by its own header.

FFmpeg counts whole packets of SV8, up to 1.7 s each, and leaves out the last; of SV7, whole frames.
Source: the format's reference decoder, libmpcdec.
"""

from __future__ import annotations

from pathlib import Path

from tagger.audio.id3 import skip_id3

FRAME, DELAY = 1152, 481  # samples of a frame; of the decoder's delay


def musepack_length(path: Path) -> int | None:
    """Samples per channel; None if the header does not say."""
    with path.open("rb") as file:
        skip_id3(file)
        header = file.read(4096)
    if header.startswith(b"MPCK"):
        return _sv8_length(header)
    if header[:4] not in (b"MP+\x07", b"MP+\x17") or len(header) < 24:
        return None
    frames, last = int.from_bytes(header[4:8], "little"), int.from_bytes(header[20:24], "little")
    # The highest bit says that the number of samples in the last frame follows.
    unused = FRAME - (last >> 20 & 0x7FF or FRAME) if last >> 31 else DELAY
    return max(frames * FRAME - unused, 0) or None


def _sv8_length(header: bytes) -> int | None:
    """From the packet "SH": a checksum, the version, the samples, those of silence in front."""
    at = 4
    while at + 3 <= len(header):
        size, body = _number(header, at + 2)
        if header[at : at + 2] == b"SH":
            samples, silence_at = _number(header, body + 5)
            return max(samples - _number(header, silence_at)[0], 0) or None
        at += max(size, 3)  # of the whole packet
    return None


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, where the highest bit says that more follow, and where it ends."""
    number = 0
    for place in range(at, min(at + 10, len(data))):
        number = number << 7 | data[place] & 0x7F
        if data[place] < 0x80:
            return number, place + 1
    return number, len(data)
