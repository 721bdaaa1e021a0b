"""Whether the length that a file states, and a seek in it, can be trusted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tagger.audio.asf import asf_structure
from tagger.audio.bare import STREAMS, bare_structure
from tagger.audio.flac import flac_structure
from tagger.audio.mp3 import mp3_structure
from tagger.audio.ogg import ogg_structure
from tagger.audio.structure import Structure
from tagger.audio.wavpack import wavpack_structure

STRUCTURES: dict[str, Callable[[Path], Structure]] = {
    "asf": asf_structure,
    "flac": flac_structure,
    "mp3": mp3_structure,
    "ogg": ogg_structure,
    "wv": wavpack_structure,
    **{kind: partial(bare_structure, kind=kind) for kind in STREAMS},
}


def examine(path: Path, kind: str) -> Structure:
    """The structure of a file of this format (FFmpeg's name); other formats have no fault here."""
    find = STRUCTURES.get(kind)
    return find(path) if find else Structure()
