"""Make `examples/library/`: ten short tracks of synthetic music in ten containers, with tags.

    python examples/make_library.py [FOLDER]

The music is synthesised from sines, plucked strings and noise, so that it can be kept in the
repository and redistributed. The same seed gives the same music. The genres in the tags are what
was meant; those that a model predicts for such sounds mean nothing. `examples/recordings` has real
ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import mutagen
import mutagen.id3
import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float64]

SECONDS = 10
# fmt: off
CHORDS = {  # MIDI notes
    "C": (48, 52, 55), "F": (53, 57, 60), "G": (55, 59, 62), "Am": (57, 60, 64),
    "Dm": (50, 53, 57), "Em": (52, 55, 59), "C7": (48, 52, 58), "F7": (53, 57, 63),
    "G7": (55, 59, 65), "E5": (40, 47, 52), "A5": (45, 52, 57), "D5": (38, 45, 50),
    "Dm7": (50, 57, 60), "Cmaj7": (48, 55, 59),
}
# fmt: on


@dataclass(frozen=True)
class Song:
    """What one track sounds like, and what is in its tag."""

    file: str
    genre: str | None  # in the tag; None leaves it to be predicted
    codec: str
    tempo: int  # beats a minute
    chords: str
    voice: str  # pluck, pad, organ or fuzz
    drums: str  # one step per eighth note: k kick, s snare, h hi-hat, . rest
    rate: int  # Hz

    @property
    def title(self) -> str:
        """The file name without number and suffix."""
        return Path(self.file).stem[3:]


BIT_RATE = "56k"  # of lossy codecs
SONGS = [
    Song("01 Porch Shuffle.mp3", None, "libmp3lame", 92, "C7 F7 C7 G7", "pluck", "k.s.k.s.", 22050),
    Song("02 Quiet Fugue.flac", None, "flac", 70, "C Am F G", "pad", "", 22050),
    Song("03 Back Road.ogg", "Country", "vorbis", 110, "G C G D5", "pluck", "k.s.k.s.", 22050),
    Song("04 Mirror Ball.m4a", None, "aac", 122, "Am F C G", "organ", "khshkhsh", 22050),
    Song("05 Block Party.opus", None, "libopus", 88, "Am Am Dm Am", "organ", "k..sk.ks", 24000),
    Song("06 Late Set.wav", "Jazz", "pcm_s16le", 140, "Dm7 G7 Cmaj7", "pad", "hhshhhsh", 11025),
    Song("07 Iron Door.aiff", None, "pcm_s16be", 160, "E5 E5 D5 A5", "fuzz", "kkskkksk", 11025),
    Song("08 Bubble.wma", None, "wmav2", 118, "C G Am F", "organ", "k.shk.sh", 22050),
    Song("09 Harbour Sun.wv", "Reggae", "wavpack", 76, "Am Dm Am Em", "organ", "..k...k.", 11025),
    Song("10 Garage Door.aac", None, "aac", 136, "A5 D5 E5 D5", "fuzz", "khshkhsh", 22050),
]


def frequency(note: int) -> float:
    """Hz of a MIDI note in equal temperament, A4 = 69 = 440 Hz."""
    return 440.0 * 2 ** ((note - 69) / 12)


def pluck(note: int, length: int, rate: int, rng: np.random.Generator) -> Samples:
    """A plucked string `(length,)`: noise in a damped loop (Karplus and Strong, 1983)."""
    period = max(2, round(rate / frequency(note)))
    cycles = -(-length // period)
    string = np.empty((cycles, period))
    string[0] = rng.uniform(-1, 1, period)
    for cycle in range(1, cycles):
        string[cycle] = 0.498 * (string[cycle - 1] + np.roll(string[cycle - 1], 1))
    return string.ravel()[:length]


def tone(note: int, length: int, rate: int, harmonics: tuple[float, ...]) -> Samples:
    """A steady tone `(length,)` with the given harmonic amplitudes, faded in and out."""
    phase = 2 * np.pi * frequency(note) * np.arange(length) / rate
    wave = sum(strength * np.sin((n + 1) * phase) for n, strength in enumerate(harmonics))
    fade = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.02 * rate))
    return np.asarray(wave * fade)


VOICES: dict[str, Callable[[int, int, int, np.random.Generator], Samples]] = {
    "pluck": pluck,
    "pad": lambda note, length, rate, rng: tone(note + 12, length, rate, (1, 0.3, 0.1)),
    "organ": lambda note, length, rate, rng: tone(note, length, rate, (1, 0.6, 0.4, 0.3)),
    "fuzz": lambda note, length, rate, rng: np.tanh(6 * tone(note, length, rate, (1, 0.5, 0.3))),
}


def drum(kind: str, rate: int, rng: np.random.Generator) -> Samples:
    """One drum stroke of an eighth of a second."""
    seconds = np.arange(rate // 8) / rate
    if kind == "k":
        return np.sin(2 * np.pi * (50 * seconds + 8 * (1 - np.exp(-30 * seconds)))) * np.exp(
            -20 * seconds
        )
    noise = rng.standard_normal(len(seconds)) * np.exp(-(25 if kind == "s" else 80) * seconds)
    return noise * (0.5 if kind == "s" else 0.25)


def play(song: Song, rng: np.random.Generator) -> NDArray[np.float32]:
    """The whole track, mono, `(samples,)` in [-0.9, 0.9]."""
    track = np.zeros(SECONDS * song.rate)

    def add(sound: Samples, start: int, gain: float) -> None:
        sound = sound[: max(0, len(track) - start)]
        track[start : start + len(sound)] += gain * sound

    eighth = round(song.rate * 30 / song.tempo)
    chords = song.chords.split()
    for step in range(len(track) // eighth):
        notes = CHORDS[chords[step // 8 % len(chords)]]
        if step % 4 == 0:
            for note in notes:
                add(VOICES[song.voice](note, 4 * eighth, song.rate, rng), step * eighth, 0.25)
            add(tone(notes[0] - 12, 3 * eighth, song.rate, (1, 0.2)), step * eighth, 0.4)
        if step % 2:
            melody = notes[int(rng.integers(3))] + 12
            add(VOICES[song.voice](melody, eighth, song.rate, rng), step * eighth, 0.3)
        if song.drums and (stroke := song.drums[step % len(song.drums)]) != ".":
            add(drum(stroke, song.rate, rng), step * eighth, 0.8)
    return (0.9 * track / np.abs(track).max()).astype(np.float32)


def encode(samples: NDArray[np.float32], song: Song, path: Path) -> None:
    """Write the samples in the container that the suffix names."""
    if path.suffix == ".ogg":  # PyAV's wheel has no Vorbis encoder
        soundfile.write(path, samples, song.rate, format="OGG", subtype="VORBIS")
        return
    with av.open(
        path, "w", format={".m4a": "ipod", ".aac": "adts", ".wma": "asf"}.get(path.suffix)
    ) as container:
        stream: Any = container.add_stream(
            song.codec, rate=song.rate, options={"b": BIT_RATE}, layout="mono"
        )
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = song.rate
        resampler = av.AudioResampler(
            stream.format, "mono", song.rate, frame_size=stream.frame_size or 1024
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


def tags(song: Song, number: int) -> Iterator[tuple[str, str]]:
    """The tags of a tidy library; the genre only if the song has one."""
    yield "title", song.title
    yield "artist", "The Oscillators"
    yield "album", "Test Tones"
    yield "tracknumber", str(number)
    if song.genre:
        yield "genre", song.genre


def write_tags(path: Path, song: Song, number: int) -> None:
    """Tag the file in its container's format; bare AAC has no tags."""
    media: Any = mutagen.File(path, easy=True)
    if path.suffix == ".aac" or media is None:
        return
    if path.suffix in (".wav", ".aiff"):
        media.add_tags()
        frames = {
            "title": "TIT2",
            "artist": "TPE1",
            "album": "TALB",
            "tracknumber": "TRCK",
            "genre": "TCON",
        }
        for name, value in tags(song, number):
            media.tags.add(getattr(mutagen.id3, frames[name])(encoding=3, text=[value]))
    else:
        names = {
            "title": "Title",
            "artist": "Author",
            "album": "WM/AlbumTitle",
            "tracknumber": "WM/TrackNumber",
        }
        for name, value in tags(song, number):
            media[names[name] if path.suffix == ".wma" else name] = value
    media.save()


def main() -> None:
    """Make every song in the given folder, or beside this script."""
    parser = argparse.ArgumentParser(description="Make ten short tracks in ten containers.")
    library = Path(__file__).parent / "library"
    parser.add_argument("folder", nargs="?", type=Path, default=library, metavar="FOLDER")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for number, song in enumerate(SONGS, 1):
        path = folder / song.file
        encode(play(song, np.random.default_rng(number)), song, path)
        write_tags(path, song, number)


if __name__ == "__main__":
    main()
