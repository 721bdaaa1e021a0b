"""A patch gives the old file back, byte for byte, and touches no other file."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from helpers.properties import examples
from hypothesis import given
from hypothesis import strategies as st

from tagger.files.patch import MOST, apply_patch, make_patch

AUDIO = random.Random(1).randbytes(300_000)
NAMED = {"audio": AUDIO, "part": AUDIO[:9000], "zeros": bytes(3000)}
# Whole parts that move, vanish and repeat, and short runs that compare equal by chance.
PARTS = st.lists(st.sampled_from(sorted(NAMED)) | st.binary(max_size=100), max_size=8)


def joined(parts: list[str | bytes]) -> bytes:
    return b"".join(NAMED[part] if isinstance(part, str) else part for part in parts)


def pair(folder: Path, old: bytes, new: bytes) -> tuple[Path, Path]:
    before, after = folder / "old", folder / "new"
    before.write_bytes(old)
    after.write_bytes(new)
    return before, after


def applied(changed: Path, patch: str) -> bytes | None:
    """What a copy of a file is with its patch; None if the patch does not apply."""
    copy = changed.with_name("copy")
    copy.write_bytes(changed.read_bytes())
    if apply_patch(copy, patch, changed):
        return copy.read_bytes()
    assert copy.read_bytes() == changed.read_bytes()
    return None


@examples(200)
@given(old=PARTS, new=PARTS)
def test_any_file_comes_back(tmp_path, old, new):
    before, after = pair(tmp_path, joined(old), joined(new))
    patch = make_patch(before, after)
    assert patch or before.stat().st_size > MOST
    if patch:
        is_same = applied(after, patch) == before.read_bytes()  # bytes would fill pages
        assert is_same


@examples(50)
@given(data=st.data())
def test_an_edit_of_a_tag_makes_a_small_patch(tmp_path, data):
    """Bytes change at some places, also in the middle, and others are inserted or removed."""
    old = bytes(4) + AUDIO + bytes(2000) + AUDIO[:5000]
    new = bytearray(old)
    for _ in range(data.draw(st.integers(1, 5))):
        at, length = data.draw(st.integers(0, len(new))), data.draw(st.integers(0, 300))
        new[at : at + length] = data.draw(st.binary(max_size=300))
    before, after = pair(tmp_path, old, bytes(new))
    patch = make_patch(before, after)
    assert len(patch) < 8000
    is_same = applied(after, patch) == old
    assert is_same


def test_another_file_is_not_touched(tmp_path):
    before, after = pair(tmp_path, AUDIO, b"tag" + AUDIO)
    patch = make_patch(before, after)
    changed = b"tab" + AUDIO
    after.write_bytes(changed)
    assert applied(after, patch) is None


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_patch_that_does_not_make_the_old_file_changes_nothing(tmp_path, part):
    """The first part is the digest of the changed file, the second that of the old one."""
    others = make_patch(*pair(tmp_path, b"odd" + AUDIO, AUDIO[:-1])).split(":")
    before, after = pair(tmp_path, b"old" + AUDIO, AUDIO + b"new")
    parts = make_patch(before, after).split(":")
    assert applied(after, ":".join(parts)) == before.read_bytes()
    parts[part] = others[part]
    assert applied(after, ":".join(parts)) is None


@pytest.mark.parametrize("patch", ["x", "a:b", "a:b:c", "a:b:YWJj", "é:::"])
def test_a_text_that_is_no_patch_changes_nothing(tmp_path, patch):
    _, after = pair(tmp_path, AUDIO, b"tag" + AUDIO)
    assert applied(after, patch) is None


def test_files_with_little_in_common_have_no_patch(tmp_path):
    assert make_patch(*pair(tmp_path, os.urandom(MOST + 1000), AUDIO)) == ""
