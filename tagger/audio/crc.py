"""Cyclic redundancy checks, highest bit first and from 0: those of FLAC, AC-3 and E-AC-3."""

from __future__ import annotations

from functools import cache


def crc8(data: bytes) -> int:
    """By the polynomial 0x07."""
    table, crc = _table(0x07, 8), 0
    for byte in data:
        crc = table[crc ^ byte]
    return crc


def crc16(data: bytes) -> int:
    """By the polynomial 0x8005; 0 for data that end with their own."""
    table, crc = _table(0x8005, 16), 0
    for byte in data:
        crc = crc << 8 & 0xFFFF ^ table[crc >> 8 ^ byte]
    return crc


@cache
def _table(polynomial: int, bits: int) -> list[int]:
    """The remainder for each byte."""
    top, mask, found = 1 << bits - 1, (1 << bits) - 1, []
    for byte in range(256):
        crc = byte << bits - 8
        for _ in range(8):
            crc = (crc << 1 ^ (polynomial if crc & top else 0)) & mask
        found.append(crc)
    return found
