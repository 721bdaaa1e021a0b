"""Whether a WMA has all the packets that its header states.

Source: Microsoft's Advanced Systems Format (ASF) Specification, revision 01.20.05, 3.1 to 3.2, 5.1.
"""

from __future__ import annotations

from pathlib import Path

from tagger.audio.extent import read_at
from tagger.audio.structure import TRUNCATED, Structure

PROPERTIES = bytes.fromhex("A1DCAB8C47A9CF118EE400C00C205365")  # File Properties Object
MOST_HEADER = 1 << 16  # bytes; the properties come before pictures
DATA_HEADER = 50  # bytes in front of the packets
BROADCAST = 1  # flag: the numbers are not valid


def asf_structure(path: Path) -> Structure:
    """Compare the stated number of packets, all of one size, with the file."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        header = read_at(file, 0, MOST_HEADER)
        at = header.find(PROPERTIES)
        fields = header[at + 40 : at + 104]
        if at < 0 or len(fields) < 64 or fields[48] & BROADCAST:
            return Structure()
        packets, packet = (int.from_bytes(fields[n : n + 8], "little") for n in (16, 52))
        packet &= 0xFFFFFFFF  # the least size, which is the only one
        start = int.from_bytes(header[16:24], "little") + DATA_HEADER
    if packet and (size - start) // packet < packets * TRUNCATED:
        return Structure(is_truncated=True)
    return Structure()
