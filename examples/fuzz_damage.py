"""Ways to damage a sound file, for `fuzz.py`."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

MARKS = re.compile(
    rb"ID3|APETAGEX|TAG|LYRICS|LIST|INFO|IGNR|fmt |data|moov|trak|udta|meta|ilst|----|\xa9gen|stsd|"
    rb"esds|stco|stts|OggS|fLaC|vorbis|OpusHead|OpusTags|Speex|TCON|TXXX|TALB|TIT2|APIC|wvpk|MAC |"
    rb"MPCK|FORM|COMM|SSND|DSD |FRM8|PROP|TTA1|GENRE|Genre|W\0M\0/\0|\xff[\xf2-\xff]|"
    rb"\x30\x26\xb2\x75|\xa1\xdc\xab\x8c|\x40\xa4\xd0\xd2"  # objects of an ASF
)
NUMBERS = (0, 1, 2, 7, 8, 9, 255, 2**15, 2**16, 2**28 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63, -1)
FORMS = (">I", "<I", ">Q", "<Q", ">H", "<H", ">I7")  # the last has 7 bits a byte, as in ID3


@dataclass
class Damage:
    """A file being damaged, and another one to take parts from."""

    data: bytearray
    other: bytes
    chance: random.Random

    def place(self) -> int:
        """Where to damage it: mostly where there is structure."""
        size = max(len(self.data), 1)
        which = self.chance.random()
        if which < 0.25:
            return self.chance.randrange(min(size, self.chance.choice((64, 512, 8192))))
        if which < 0.35:
            return size - 1 - self.chance.randrange(min(size, 300))
        if which < 0.85 and (marks := [mark.start() for mark in MARKS.finditer(self.data)]):
            return min(max(self.chance.choice(marks) + self.chance.randint(-12, 48), 0), size - 1)
        return self.chance.randrange(size)

    def length(self) -> int:
        """How many bytes to damage: few more often than many."""
        return self.chance.randint(1, self.chance.choice((4, 16, 256, 8192)))

    def flip(self) -> None:
        """Flip bits in a few bytes."""
        for _ in range(self.chance.choice((1, 1, 4, 32))):
            if self.data:
                self.data[self.place()] ^= 1 << self.chance.randrange(8)

    def blank(self) -> None:
        """Overwrite a run with one byte value."""
        at, size = self.place(), self.length()
        self.data[at : at + size] = self.chance.choice((b"\0", b"\xff", b" ")) * size

    def truncate(self) -> None:
        """Cut off the end."""
        del self.data[self.place() :]

    def cut(self) -> None:
        """Remove a run, so that everything after it is shifted."""
        at = self.place()
        del self.data[at : at + self.length()]

    def splice(self) -> None:
        """Insert a part of another file, or overwrite with it."""
        start = self.chance.randrange(max(len(self.other), 1))
        part, at = self.other[start : start + self.length()], self.place()
        self.data[at : at + self.chance.choice((0, len(part)))] = part

    def resize(self) -> None:
        """Write a wrong number, such as a size."""
        form, at = self.chance.choice(FORMS), self.place()
        width = struct.calcsize(form[:2])
        number = self.chance.choice((*NUMBERS, len(self.data), self.chance.getrandbits(24)))
        if self.chance.random() < 0.3:  # off by little
            here = self.data[at : at + width]
            number = (
                int.from_bytes(here, "little") if form[0] == "<" else int.from_bytes(here, "big")
            )
            number += self.chance.choice((-8, -1, 1, 2, 8))
        if form == ">I7":
            new = bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))
        else:
            new = struct.pack(form, number % (1 << 8 * width))
        self.data[at : at + width] = new

    def repeat(self) -> None:
        """Repeat a block."""
        at, size = self.place(), self.length()
        again = bytes(self.data[at : at + size]) * self.chance.choice((1, 1, 3, 100))
        self.data[at:at] = again[: 1 << 20]

    def swap(self) -> None:
        """Swap two blocks."""
        size = self.length()
        first, second = sorted((self.place(), self.place()))
        if first + size <= second:
            one, two = self.data[first : first + size], self.data[second : second + size]
            self.data[second : second + size], self.data[first : first + size] = one, two

    def behead(self) -> None:
        """Replace the start by that of another file."""
        size = self.chance.choice((4, 12, 64, 512, 4096))
        self.data[: self.chance.choice((0, size))] = self.other[:size]

    def append(self) -> None:
        """Append something, often what looks like a tag."""
        noise = self.chance.randbytes(self.length())
        footer = b"APETAGEX" + self.chance.choice((b"\xd0\7\0\0", b"\0\0\0\0"))
        footer += struct.pack("<3I8x", self.chance.getrandbits(9), self.chance.getrandbits(3), 0)
        v1 = b"TAG" + self.chance.choice((noise.ljust(125, b"\0")[:125], bytes(125)))
        id3 = b"ID3" + self.chance.choice((b"\2", b"\3", b"\4")) + b"\0\0\0\0\1\0"
        choices = (noise, footer, v1, footer + v1, id3, b"LYRICSBEGIN000099LYRICS200" + v1)
        self.data += self.chance.choice((*choices, self.other[-128:], self.other))


WAYS: tuple[Callable[[Damage], None], ...] = (
    Damage.flip, Damage.flip, Damage.blank, Damage.truncate, Damage.cut, Damage.splice,
    Damage.resize, Damage.resize, Damage.resize, Damage.repeat, Damage.swap, Damage.behead,
    Damage.append,
)  # fmt: skip


def damage(data: bytes, other: bytes, chance: random.Random) -> tuple[bytes, str]:
    """A damaged version of a file, and a list of what was done to it."""
    victim = Damage(bytearray(data), other, chance)
    ways = [chance.choice(WAYS) for _ in range(chance.choice((1, 1, 2, 4)))]
    for way in ways:
        way(victim)
    return bytes(victim.data), ", ".join(way.__name__ for way in ways)
