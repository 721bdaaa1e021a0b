"""Which changes of features each kind of augmentation turns on."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from training.augment.features import Augmentation, augmentation_of
from training.options import FEATURE_AUGMENTATION

FIELDS = {
    "speed": {"speed"},
    "colour": {"gain", "equaliser", "noise"},
    "specaugment": {"mel_mask", "time_mask"},
    "mixup": {"mixup"},
    "patchout": {"patch_drop"},
}


@pytest.mark.parametrize("kind", FEATURE_AUGMENTATION)
def test_a_kind_turns_on_its_fields_and_no_others(kind: str) -> None:
    default = asdict(Augmentation())
    kept = FIELDS[kind] | {"equaliser_points"}
    expected = {name: value if name in kept else 0 for name, value in default.items()}
    assert asdict(augmentation_of(["echo", kind])) == expected


def test_all_kinds_together_are_the_default() -> None:
    assert augmentation_of(FEATURE_AUGMENTATION) == Augmentation()
