"""Make `tagger/app/samples/`: a short tone in each container, which `tag-genres doctor` decodes.

    python examples/make_samples.py [FOLDER]

Needs a system FFmpeg with libmp3lame, libvorbis, libopus and libspeex. Musepack is encoded if
`mpcenc` is on the PATH (Debian's musepack-tools); otherwise an existing file is kept.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from tagger.app.probes import SAMPLES, TONE

LEVEL = 0.3
FFMPEG = ("ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i")
DSD_RATE, DSD_BLOCK = 64 * 44_100, 4096  # Hz; consecutive bytes of one channel in a DSF file
# name: encoder, muxer, rate (Hz) and seconds. Low rates and short, as every wheel contains them.
ENCODED = {
    "mp3.mp3": ("libmp3lame", "mp3", 16_000, 0.3),
    "mp2.mp2": ("mp2", "mp2", 16_000, 0.3),
    "flac.flac": ("flac", "flac", 8_000, 0.2),
    "vorbis.ogg": ("libvorbis", "ogg", 16_000, 0.2),
    "opus.opus": ("libopus", "opus", 48_000, 0.3),
    "speex.spx": ("libspeex", "ogg", 16_000, 0.3),
    "m4a.m4a": ("aac", "ipod", 16_000, 0.3),
    "alac.m4a": ("alac", "ipod", 8_000, 0.2),
    "adts.aac": ("aac", "adts", 16_000, 0.3),
    "matroska.mka": ("aac", "matroska", 16_000, 0.3),
    "wav.wav": ("pcm_s16le", "wav", 8_000, 0.2),
    "aiff.aiff": ("pcm_s16be", "aiff", 8_000, 0.2),
    "au.au": ("pcm_s16be", "au", 8_000, 0.2),
    "caf.caf": ("pcm_s16be", "caf", 8_000, 0.2),
    "w64.w64": ("pcm_s16le", "w64", 8_000, 0.2),
    "wma.wma": ("wmav2", "asf", 16_000, 0.3),
    "wavpack.wv": ("wavpack", "wv", 8_000, 0.2),
    "tta.tta": ("tta", "tta", 8_000, 0.2),
    "ac3.ac3": ("ac3", "ac3", 32_000, 0.25),
}


def encode(path: Path) -> None:
    """Write the tone with FFmpeg, with the same bytes every time."""
    encoder, muxer, rate, seconds = ENCODED[path.name]
    source = f"aevalsrc={LEVEL}*sin(2*PI*{TONE}*t):s={rate}:d={seconds}"
    same = ["-fflags", "+bitexact", "-flags:a", "+bitexact", "-metadata_header_padding", "0"]
    run(*FFMPEG, source, "-c:a", encoder, "-f", muxer, *same, path)


def encode_musepack(path: Path) -> None:
    """Write the tone as Musepack 8, which FFmpeg cannot encode."""
    if shutil.which("mpcenc") is None:
        print(f"no mpcenc: {path.name} is left as it is", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "tone.wav"
        source = f"aevalsrc={LEVEL}*sin(2*PI*{TONE}*t):s=44100:d=0.3"
        run(*FFMPEG, source, wave)
        run("mpcenc", "--silent", "--overwrite", "--telephone", wave, path)


def run(*command: str | Path) -> None:
    """Run a program; raise if it fails."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def dsd_bits() -> np.ndarray:
    """The tone as bits, `(n,)` of 0 and 1, from a second-order sigma-delta modulator."""
    times = np.arange(2 * DSD_BLOCK * 8) / DSD_RATE
    first = second = out = 0.0
    bits = []
    for sample in LEVEL * np.sin(2 * np.pi * TONE * times):
        first += sample - out
        second += first - out
        out = 1.0 if second >= 0 else -1.0
        bits.append(out > 0)
    return np.array(bits)


def dsf() -> bytes:
    """Sony's container for DSD: https://dsd-guide.com/sites/default/files/white-papers/DSFFileFormatSpec_E.pdf."""
    data = np.packbits(dsd_bits(), bitorder="little").tobytes()
    settings = (1, 0, 1, 1, DSD_RATE, 1, len(data) * 8, DSD_BLOCK, 0)
    form = struct.pack("<4sQ6IQ2I", b"fmt ", 52, *settings)
    data = struct.pack("<4sQ", b"data", 12 + len(data)) + data
    return struct.pack("<4s3Q", b"DSD ", 28, 28 + len(form) + len(data), 0) + form + data


def dsdiff() -> bytes:
    """Philips' container for DSD, with the first bit in the highest place of a byte."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack(">Q", len(data)) + data + b"\0" * (len(data) % 2)

    settings = chunk(b"FS  ", struct.pack(">I", DSD_RATE)) + chunk(b"CHNL", b"\0\1C   ")
    settings += chunk(b"CMPR", b"DSD \x0enot compressed\0")
    body = b"DSD " + chunk(b"FVER", b"\1\5\0\0") + chunk(b"PROP", b"SND " + settings)
    return chunk(b"FRM8", body + chunk(b"DSD ", np.packbits(dsd_bits()).tobytes()))


def main() -> None:
    """Write every sample."""
    parser = argparse.ArgumentParser(description="Make a short tone in each container.")
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLES, metavar="FOLDER")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in ENCODED:
        encode(folder / name)
    encode_musepack(folder / "musepack.mpc")
    (folder / "dsf.dsf").write_bytes(dsf())
    (folder / "dsdiff.dff").write_bytes(dsdiff())
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {size / 1000:.0f} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
