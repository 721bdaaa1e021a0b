"""Components of teachers' outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from training.loop.projection import COMPONENTS, Projection, components
from training.networks.teacher import TeacherOutputs


def outputs(rows: int, seed: int, width: int = 90) -> TeacherOutputs:
    draw = np.random.default_rng(seed)
    mixing = np.random.default_rng(1).normal(0, 1, (70, width)) * np.linspace(3, 0.1, 70)[:, None]
    whole = 5 + draw.normal(0, 1, (rows, 70)) @ mixing
    segments = draw.normal(0, 1, (rows, 4, 70)) @ mixing
    return TeacherOutputs(torch.from_numpy(whole).float(), torch.from_numpy(segments).float())


def test_components_fall_in_variance_and_are_one_on_average() -> None:
    sample = outputs(2000, 2).whole
    for standardised in (True, False):
        found = components(sample, standardised=standardised)(sample).numpy()
        assert found.shape == (2000, COMPONENTS)
        assert np.abs(found.mean(axis=0)).max() < 1e-3
        variances = found.var(axis=0)
        assert (np.diff(variances) < 1e-6).all()
        assert abs(variances.mean() - 1) < 1e-3
        correlations = np.corrcoef(found.T) - np.eye(COMPONENTS)
        assert np.abs(correlations).max() < 0.01


def test_an_output_that_is_rare_in_the_sample_does_not_dominate_the_components() -> None:
    sample = outputs(500, 2).whole
    sample[:, 7] = 0
    found = components(sample, standardised=True)
    sample[:, 7] = 10 * sample.std()
    assert (found(sample).abs() < 30).all()


def test_few_rows_have_few_components() -> None:
    sample = outputs(10, 2).whole
    found = components(sample, standardised=True)(sample).numpy()
    assert np.isfinite(found).all()
    assert (found.var(axis=0) > 1e-6).sum() == 9


def test_teachers_come_side_by_side_and_are_stored(tmp_path: Path) -> None:
    samples = [outputs(300, 3), outputs(300, 4, width=80)]
    projection = Projection.fit(samples)
    whole, segments = projection(samples)
    assert whole.shape == (300, 2 * COMPONENTS)
    assert segments.shape == (300, 4, 2 * COMPONENTS)
    alone, _ = Projection.fit(samples[1:])(samples[1:])
    torch.testing.assert_close(whole[:, COMPONENTS:], alone)
    projection.save(tmp_path / "projection.npz")
    again = Projection.load(tmp_path / "projection.npz")(samples)
    assert torch.equal(again[0], whole) and torch.equal(again[1], segments)
