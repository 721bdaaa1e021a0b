"""Targets of teachers are decoded from files and averaged over a crop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from helpers.command import ROOT, environment

from training.clips.clip import Clip
from training.loop.teachers import read_embeddings, read_soft_labels


def test_teacher_targets_are_decoded_and_averaged_over_the_crop(tmp_path: Path) -> None:
    stored = np.arange(8, dtype=np.uint8).reshape(4, 2)
    clips = [Clip(tmp_path, "a", "a.0")]
    np.savez(tmp_path / "soft.npz", **{"a.0": stored})
    np.savez(tmp_path / "embedding.npz", **{"a.0": stored.astype(np.int8)}, _scale=[0.5, 2.0])
    soft = read_soft_labels([tmp_path / "soft.npz"], clips)
    # Frames are centred on 0.48, 0.96, 1.44, and 1.92 s.
    expected = (stored[1:3] / 255) ** 4
    np.testing.assert_allclose(soft.between("a.0", 0.9, 1.5), expected.mean(axis=0), rtol=1e-5)
    embeddings = read_embeddings([tmp_path / "embedding.npz"], clips)
    np.testing.assert_allclose(embeddings.mean(), [3 * 0.5, 4 * 2.0])
    half = embeddings.half_whitened().targets["a.0"].std(axis=0)
    np.testing.assert_allclose(half**2, embeddings.targets["a.0"].std(axis=0), rtol=1e-5)
    np.testing.assert_allclose(embeddings.between("a.0", 1.9, 9.0), [6 * 0.5, 7 * 2.0])
    np.testing.assert_allclose(embeddings.between("a.0", 0.5, 0.6), [0, 1 * 2.0])  # the nearest


def test_means_over_a_teacher_are_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    # Sets of strings have another order in each process, and sums of floats depend on theirs.
    names = [f"clip{number}" for number in range(40)]
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", **{name: draw.integers(0, 256, (9, 30), "u1") for name in names})
    code = f"""
from pathlib import Path
from training.clips.clip import Clip
from training.loop.teachers import read_soft_labels
clips = [Clip(Path(), "", f"clip{{number}}") for number in range(40)]
teacher = read_soft_labels([Path({str(tmp_path / "a.npz")!r})], clips)
print(teacher.mean().tobytes().hex(), teacher.half_whitened().mean().tobytes().hex())
"""
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**environment(tmp_path), "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(seed)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in (1, 2, 3)
    ]
    assert len({run.communicate()[0] for run in runs}) == 1
    assert not any(run.returncode for run in runs)
