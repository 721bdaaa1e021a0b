"""The library of `soak.py`: short files in many containers, and a tiny model."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from make_library import SONGS, encode, play

from tagger.files.scan import find_tracks
from tagger.types import Track

SOUNDS = 320
CODECS = {
    ".mp3": "libmp3lame", ".flac": "flac", ".ogg": "vorbis", ".m4a": "aac", ".opus": "libopus",
    ".wav": "pcm_s16le", ".aiff": "pcm_s16be", ".wma": "wmav2", ".wv": "wavpack", ".aac": "aac",
    ".tta": "tta", ".mp2": "mp2", ".au": "pcm_s16be", ".caf": "pcm_s16be", ".mka": "libopus",
    ".m4b": "alac", ".ac3": "ac3", ".w64": "pcm_s16le",
}  # fmt: skip
BROKEN = 0.01  # share of the tracks


def make_sources(folder: Path, seed: int) -> None:
    """Short files of music, each different, in every container that can be made here."""
    for part in ("sounds", "broken"):
        (folder / part).mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number, (suffix, codec) in zip(range(SOUNDS), cycle(CODECS.items()), strict=False):
        song = SONGS[number % len(SONGS)]
        rate = 48_000 if codec in ("libopus", "mp2", "ac3") else song.rate
        song = replace(song, codec=codec, tempo=song.tempo + number % 40, rate=rate)
        samples = play(song, rng)[: round(rate * rng.uniform(0.8, 2))]
        encode(samples, song, folder / "sounds" / f"{number:04}{suffix}")
    for path in sorted((folder / "sounds").iterdir())[: len(CODECS)]:
        (folder / "broken" / f"cut{path.suffix}").write_bytes(path.read_bytes()[:20])
        (folder / "broken" / f"empty{path.suffix}").touch()
        (folder / "broken" / f"text{path.suffix}").write_text("All my friends are here.\n" * 50)


def make_model(folder: Path) -> Path:
    """A checkpoint of random weights with windows of 0.655 s."""
    import torch
    from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

    frames: dict[str, Any] = {"max_length": 64, "num_mel_bins": 32}
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}
    labels = dict(enumerate(["blues", "hiphop", "jazz", "pop", "rock"]))
    torch.manual_seed(0)
    config = ASTConfig(**frames, **sizes, num_hidden_layers=1, id2label=labels)
    network = ASTForAudioClassification(config)
    # Far from uniform, so that mixed-up tracks are noticed.
    torch.nn.init.normal_(network.classifier.dense.weight, std=1.0)
    network.save_pretrained(folder)
    ASTFeatureExtractor(**frames).save_pretrained(folder)
    return folder


def make_library(folder: Path, sources: Path, count: int, chance: random.Random) -> dict[str, str]:
    """Link `count` names in many folders to random sources; return the source of each name."""
    tracks = [item.path for item in find_tracks([sources]) if isinstance(item, Track)]
    broken = [path for path in tracks if path.parent.name == "broken"]
    whole = [path for path in tracks if path.parent.name != "broken"]
    names = {}
    for number in range(count):
        source = chance.choice(broken if chance.random() < BROKEN else whole)
        path = folder / f"{number // 2000:03}/{number // 20:05}/{number:06}{source.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, path)
        names[str(path)] = str(source)
    return names
