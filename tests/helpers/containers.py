"""A small sound file of every container, made here or taken from the corpus of real files."""

from __future__ import annotations

import hashlib
import io
import shutil
import struct
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "tag-corpus"

# name: (suffix, muxer, encoder)
ENCODED = {
    "mp3": (".mp3", "mp3", "libmp3lame"),
    "mp2": (".mp2", "mp2", "mp2"),
    "tta": (".tta", "tta", "tta"),
    "wav": (".wav", "wav", "pcm_s16le"),
    "aiff": (".aiff", "aiff", "pcm_s16be"),
    "wavpack": (".wv", "wv", "wavpack"),
    "flac": (".flac", "flac", "flac"),
    "ogg-flac": (".oga", "ogg", "flac"),
    "vorbis": (".ogg", "ogg", "libvorbis"),
    "opus": (".opus", "opus", "libopus"),
    "speex": (".spx", "ogg", "libspeex"),
    "m4a": (".m4a", "ipod", "aac"),
    "alac": (".m4a", "ipod", "alac"),
    "wma": (".wma", "asf", "wmav2"),
}
BORROWED = {"musepack": "mediafile/empty.mpc", "ape": "mediafile/empty.ape"}
SUFFIX = {
    **{kind: row[0] for kind, row in ENCODED.items()},
    **{"dsf": ".dsf", "dsdiff": ".dff", "musepack": ".mpc", "ape": ".ape"},
}
KINDS = tuple(SUFFIX)


def make(kind: str, folder: Path) -> Path:
    """A file of this kind without a genre; skips the test where it cannot be made."""
    path = folder / f"sound{SUFFIX[kind]}"
    try:
        path.write_bytes(sound(kind))
    except (OSError, ValueError, subprocess.CalledProcessError, av.FFmpegError) as error:
        pytest.skip(f"cannot make {kind} here: {error}")
    return path


@cache
def sound(kind: str) -> bytes:
    if kind == "dsf":
        return dsf()
    if kind == "dsdiff":
        return dsdiff()
    if kind in BORROWED:
        return (CORPUS / BORROWED[kind]).read_bytes()
    _, muxer, encoder = ENCODED[kind]
    try:
        return _encode(muxer, encoder)
    except (ValueError, av.FFmpegError):  # PyAV's wheel lacks this encoder
        return _encode_by_ffmpeg(kind, ["-f", "lavfi", "-i", "sine=d=0.5:r=16000"])


def encode(kind: str, wave: NDArray[np.int16]) -> bytes:
    """A mono file of this kind at 48 kHz with this sound."""
    _, muxer, encoder = ENCODED[kind]
    try:
        return _encode(muxer, encoder, wave)
    except (ValueError, av.FFmpegError):
        raw = ["-f", "s16le", "-ar", "48000", "-ac", "1", "-i", "-", "-ar", "16000"]
        return _encode_by_ffmpeg(kind, raw, wave.tobytes())


def _encode_by_ffmpeg(kind: str, source: list[str], sound: bytes = b"") -> bytes:
    suffix, muxer, encoder = ENCODED[kind]
    if shutil.which("ffmpeg") is None:
        raise OSError("no system ffmpeg")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sound{suffix}"
        options = ["-c:a", encoder, "-f", muxer, "-fflags", "bitexact"]
        subprocess.run(["ffmpeg", "-v", "error", *source, *options, path], check=True, input=sound)
        return path.read_bytes()


def _encode(muxer: str, encoder: str, wave: NDArray[np.int16] | None = None) -> bytes:
    buffer, rate = io.BytesIO(), 48000
    with av.open(buffer, "w", format=muxer, options={"fflags": "bitexact"}) as out:
        stream = out.add_stream(encoder, rate=rate)
        stream.layout = "mono"
        layout, form = "mono", stream.format.name if stream.format else "s16"
        if wave is None:
            wave = (8000 * np.sin(np.arange(rate // 2) / 20)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout=layout)
        frame.sample_rate = rate
        size = stream.codec_context.frame_size or None
        resampler = av.AudioResampler(format=form, layout=layout, rate=rate, frame_size=size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def dsf() -> bytes:
    block = bytes(range(256)) * 16
    form = struct.pack("<4sQ6IQ2I", b"fmt ", 52, 1, 0, 1, 1, 2822400, 1, len(block) * 8, 4096, 0)
    data = struct.pack("<4sQ", b"data", 12 + len(block)) + block
    return struct.pack("<4s3Q", b"DSD ", 28, 28 + len(form) + len(data), 0) + form + data


def dsdiff() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return name + struct.pack(">Q", len(data)) + data + b"\0" * (len(data) % 2)

    settings = chunk(b"FS  ", struct.pack(">I", 2822400)) + chunk(b"CHNL", b"\0\1C   ")
    settings += chunk(b"CMPR", b"DSD \x0enot compressed\0")
    body = b"DSD " + chunk(b"FVER", b"\1\5\0\0") + chunk(b"PROP", b"SND " + settings)
    return chunk(b"FRM8", body + chunk(b"DSD ", bytes(range(256)) * 16))


def packets(path: Path) -> str:
    """A digest of the audio as it is stored.

    For Monkey's Audio, as it is decoded: FFmpeg takes everything up to the end of the file, tags
    included, for the last packet.
    """
    digest, count = hashlib.sha256(), 0
    with av.open(str(path)) as media:
        stream = media.streams.audio[0]
        if stream.codec_context.name == "ape":
            for frame in media.decode(stream):
                digest.update(frame.to_ndarray().tobytes())
            return digest.hexdigest()
        for packet in media.demux(stream):
            digest.update(bytes(packet))
            count += packet.size > 0
    return f"{count} {digest.hexdigest()}"
