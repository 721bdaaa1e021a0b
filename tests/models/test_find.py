"""From the value of `--model` to what the checkpoint states."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.models import edit

from tagger.errors import CheckpointError
from tagger.models.find import find_model
from tagger.types import DEFAULT_MODEL


def test_what_a_checkpoint_states_is_used(model_copy: Path) -> None:
    edit(model_copy, "preprocessor_config.json", mean=-1.5, std=2.5, sampling_rate=8000)
    edit(model_copy, "config.json", problem_type="multi_label_classification")
    info = find_model(str(model_copy))
    assert info.labels == ("blues", "hiphop", "jazz", "rock")
    front_end = info.front_end
    assert (front_end.rate, front_end.frames, front_end.mel_bins) == (8000, 64, 32)
    assert (front_end.mean, front_end.std) == (-1.5, 2.5)
    assert info.multi_label
    assert info.plan(3).samples == 200 + 80 * 63


def test_the_bundled_model_is_the_default_and_fits_its_promise() -> None:
    info = find_model(DEFAULT_MODEL)
    assert info.is_bundled
    names = "blues classical country disco hiphop jazz metal pop reggae rock"
    assert sorted(info.labels) == names.split()
    assert sum(path.stat().st_size for path in info.folder.iterdir()) <= 10_000_000


@pytest.mark.parametrize("name", ["", "x" * 10_000, "a\0b", "a--b/c..d", "../x", "a/" + "b" * 300])
def test_an_impossible_name_of_a_model_is_refused(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError):
        find_model(name)
