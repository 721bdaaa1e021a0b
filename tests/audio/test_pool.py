"""What the child processes that decode load into memory."""

from __future__ import annotations

from pathlib import Path

from helpers import sounds

from tagger.audio.pool import DecoderPool
from tagger.audio.windows import WindowPlan

PLAN = WindowPlan(samples=8_000, rate=16_000, count=4)


def test_a_process_that_decodes_loads_no_mutagen(tmp_path: Path) -> None:
    path = sounds.make("aac in m4a", tmp_path)
    with DecoderPool(1, 60) as pool:
        read = pool.decode(path, PLAN, 0).result()
        loaded = set(pool._children[0].call(60, eval, "[*__import__('sys').modules]"))
    assert len(read.windows) == PLAN.count
    assert {"av", "soxr", "tagger.audio.reader"} <= loaded
    assert {name.partition(".")[0] for name in loaded}.isdisjoint({"mutagen", "torch"})
    assert not [name for name in loaded if name.startswith("tagger.tags")]
