"""Windows of one track, read in a child process."""

from __future__ import annotations

from pathlib import Path

from tagger.audio import reader
from tagger.audio.reader import Placement, Waveforms
from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError, Crashed
from tagger.files.process import SECONDS, run_isolated


def read_windows(
    path: Path, plan: WindowPlan, chunk: int = 0, placement: Placement | None = None
) -> Waveforms:
    """See `reader.read_windows`; `pool.DecoderPool` is for many tracks at once."""
    try:
        return run_isolated(SECONDS, reader.read_windows, path, plan, chunk, placement)
    except Crashed as error:
        raise AudioError(str(error), path) from error
