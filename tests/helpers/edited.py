"""Files whose headers say other things than their encoder wrote; and what FFmpeg decodes."""

from __future__ import annotations

import json
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

ID3 = b"ID3\4\0\0\0\0\1\0" + bytes(128)
ID3V1 = b"TAG" + bytes(125)
APE = struct.pack("<8sIIII8x", b"APETAGEX", 2000, 32, 0, 0)
LYRICS = b"LYRICSBEGININD0000200000028LYRICS200"
NOISE = bytes((number * number >> 3) % 251 for number in range(5_000))  # no header of anything


def decoded_seconds(path: Path) -> float:
    """What the FFmpeg program decodes of the first audio stream."""
    probe = "ffprobe -v quiet -select_streams a:0 -show_entries stream=sample_rate -of json"
    found = subprocess.run([*probe.split(), path], capture_output=True, check=True).stdout
    rate = int(json.loads(found)["streams"][0]["sample_rate"])
    command = ["ffmpeg", "-v", "quiet", "-i", path, "-map", "0:a:0", "-ac", "1", "-ar", str(rate)]
    decoded = subprocess.run([*command, "-f", "s16le", "-"], capture_output=True, check=False)
    return len(decoded.stdout) / 2 / rate


# --- MP3 ------------------------------------------------------------------------------------------


def with_xing(mp3: bytes, *, frames: float | None = 1, size: float | None = 1) -> bytes:
    """Counts in the Xing header that are multiplied; None leaves one out."""
    data = bytearray(mp3)
    at = max(data.find(b"Xing"), data.find(b"Info")) + 4
    flags, count, length = struct.unpack(">III", data[at : at + 12])
    numbers = [round(count * (frames or 0)), round(length * (size or 0))]
    given = [number for number, factor in zip(numbers, (frames, size), strict=True) if factor]
    flags = flags & ~3 | (1 if frames else 0) | (2 if size else 0)
    data[at : at + 12] = struct.pack(f">{1 + len(given)}I", flags, *given).ljust(12, b"\0")
    return bytes(data)


# --- FLAC -----------------------------------------------------------------------------------------


def stated_total(flac: bytes) -> int:
    """Samples per channel in STREAMINFO."""
    return int.from_bytes(flac[18:26], "big") & (1 << 36) - 1


def with_total(flac: bytes, total: int) -> bytes:
    """Another number of samples in STREAMINFO."""
    packed = int.from_bytes(flac[18:26], "big") >> 36 << 36 | total
    return flac[:18] + packed.to_bytes(8, "big") + flac[26:]


# --- Ogg ------------------------------------------------------------------------------------------

# Ogg's checksum is zlib's with the bits of each byte, and of the result, the other way round.
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def pages(ogg: bytes) -> list[bytes]:
    """The pages of an Ogg."""
    found, at = [], 0
    while at < len(ogg):
        sizes = ogg[at + 27 : at + 27 + ogg[at + 26]]
        end = at + 27 + len(sizes) + sum(sizes)
        found.append(ogg[at:end])
        at = end
    return found


def change_page(
    page: bytes,
    *,
    position: Callable[[int], int] = int,
    serial: int | None = None,
) -> bytes:
    """A page at another position, which is -1 where no packet ends, or of another stream."""
    data = bytearray(page)
    data[6:14] = position(int.from_bytes(page[6:14], "little", signed=True)).to_bytes(
        8, "little", signed=True
    )
    if serial is not None:
        data[14:18] = serial.to_bytes(4, "little")
    data[22:26] = bytes(4)
    crc = zlib.crc32(data.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    data[22:26] = int(f"{crc:032b}"[::-1], 2).to_bytes(4, "little")
    return bytes(data)


def with_serial(ogg: bytes, serial: int) -> bytes:
    """An Ogg whose stream has another number."""
    return b"".join(change_page(page, serial=serial) for page in pages(ogg))
