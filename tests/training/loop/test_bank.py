"""Stored sounds, and which of them a run may learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tagger.types import FrontEnd
from training.errors import TrainingError
from training.loop.bank import (
    Bank,
    BankDataset,
    BankIndex,
    HeldOutRows,
    blocks,
    dequantised,
    quantised,
)

ROWS, STEPS, WIDTH = 200, 4, 6
CLIPS = (("rock", "a"), ("rock", "b"), ("jazz", "a"), ("", "free"))


def make(folder: Path, rows: int = ROWS) -> Bank:
    return Bank.create(folder, BankIndex(rows, 16, 8, STEPS, WIDTH, CLIPS, {"seed": 1}))


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    """All rows done; row i has clips i % 4 and, in every second row, -1."""
    bank = make(tmp_path / "bank")
    draw = np.random.default_rng(0)
    bank.features[:] = draw.integers(0, 256, bank.features.shape)
    bank.targets[:] = draw.normal(0, 1, bank.targets.shape)
    bank.segments[:] = draw.normal(0, 1, bank.segments.shape)
    bank.sources[:] = [[row % 4, -1, 3 if row % 2 else -1] for row in range(ROWS)]
    bank.done[:] = 1
    return Bank(tmp_path / "bank")


def test_eight_bits_keep_features_within_half_a_step() -> None:
    front_end = FrontEnd()
    logs = torch.linspace(-15.9, 7.9, 500)
    features = (logs - front_end.mean) / (2 * front_end.std)
    back = dequantised(quantised(features, front_end), front_end)
    assert (back - features).abs().max() * 2 * front_end.std <= 24 / 255 / 2 + 1e-5


def test_rows_with_music_of_held_out_clips_are_left_out(bank: Bank) -> None:
    rows = bank.rows_of({("rock", "a"), ("jazz", "a")})
    assert set(rows % 4) == {0, 2, 3}  # never rock/b; unlabelled music always
    assert len(rows) == ROWS * 3 // 4
    assert len(bank.rows_of({("rock", "a"), ("rock", "b"), ("jazz", "a")})) == ROWS


def test_rows_without_other_music_are_found(bank: Bank) -> None:
    # Rows 0, 4, 8 ... have rock/a alone; odd ones have unlabelled music too.
    assert list(bank.rows_of({("rock", "a")}, unlabelled=False)) == list(range(0, ROWS, 4))


def test_rows_of_a_single_labelled_clip_are_found(bank: Bank) -> None:
    # In odd rows there is a second clip; row 3, 7 ... have unlabelled music.
    assert list(bank.single_clip_rows(np.arange(1, ROWS))) == list(range(2, ROWS, 2))


def test_the_explained_variance_is_one_for_a_student_that_knows_and_none_for_the_mean(
    bank: Bank,
) -> None:
    rows = bank.rows_of({("rock", "a")}, unlabelled=False)
    targets = torch.from_numpy(np.float32(bank.targets[rows]))
    known = torch.from_numpy(bank.features[rows])
    front_end = FrontEnd()

    class Knowing(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
            same = (features[:, None] - dequantised(known, front_end)).abs().sum(dim=(2, 3))
            found = targets[same.argmin(dim=1)]
            # Once from the class token, once from the patches: their mean is judged.
            return {"embeddings": torch.stack([found + 1, found - 1], dim=1)}

    class Constant(torch.nn.Module):
        def forward(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"embeddings": targets.mean(dim=0).expand(len(features), 2, -1)}

    held_out = HeldOutRows(bank, rows, front_end)
    device = torch.device("cpu")
    assert held_out.explained(Knowing(), device) == pytest.approx(1, abs=1e-4)
    assert held_out.explained(Constant(), device) == pytest.approx(0, abs=1e-4)


def test_each_row_is_drawn_once_an_epoch(bank: Bank) -> None:
    rows = bank.rows_of({("rock", "a")})
    crops = BankDataset(bank, rows, torch.zeros(len(rows), 2), seed=3)
    drawn = [int(rows[crops.draws[number]]) for number in range(2 * len(rows))]
    first, second = drawn[: len(rows)], drawn[len(rows) :]
    assert sorted(first) == sorted(second) == list(rows)
    assert first != second


def test_an_item_is_a_row(bank: Bank) -> None:
    rows = bank.rows_of({("rock", "a")})
    labels = torch.rand(len(rows), 2)
    crops = BankDataset(bank, rows, labels, seed=3)
    for number in range(20):
        row, item = rows[crops.draws[number]], crops[number]
        assert item["inputs"].dtype == torch.uint8
        np.testing.assert_array_equal(item["inputs"], bank.features[row])
        np.testing.assert_array_equal(item["embeddings"], np.float32(bank.targets[row]))
        np.testing.assert_array_equal(item["segments"], np.float32(bank.segments[row]))
        assert item["segments"].shape == (STEPS, WIDTH)
        assert torch.equal(item["labels"], labels[crops.draws[number]])
    assert {name: len(mean) for name, mean in crops.means.items()} == {
        "embeddings": WIDTH,
        "segments": WIDTH,
    }


def test_an_unfinished_bank_goes_on_where_it_was_and_is_not_learned_from(tmp_path: Path) -> None:
    bank = make(tmp_path / "bank", rows=20)
    bank.done[0:8] = 1
    again = make(tmp_path / "bank", rows=20)
    assert [list(block) for block in blocks(again, 4, 0, 2)] == [[8, 9, 10, 11], [16, 17, 18, 19]]
    assert [list(block) for block in blocks(again, 4, 1, 2)] == [[12, 13, 14, 15]]
    with pytest.raises(TrainingError, match="not finished, 12 rows are missing"):
        again.check_finished()


def test_a_bank_of_other_sounds_is_not_continued(tmp_path: Path) -> None:
    make(tmp_path / "bank", rows=20)
    with pytest.raises(TrainingError, match="choose another --out"):
        make(tmp_path / "bank", rows=30)


@pytest.mark.parametrize("harm", ["no folder", "no json", "another version", "short"])
def test_what_is_no_bank_is_refused(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "bank"
    if harm != "no folder":
        make(folder, rows=20)
    if harm == "no json":
        (folder / "bank.json").write_text("{")
    if harm == "another version":
        text = (folder / "bank.json").read_text().replace('"version": 3', '"version": 9')
        (folder / "bank.json").write_text(text)
    if harm == "short":
        (folder / "features.u8").write_bytes(b"abc")
    with pytest.raises(TrainingError, match="no bank that can be read"):
        Bank(folder)
