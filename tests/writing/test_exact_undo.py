"""An undo gives back every byte of a file, or of its frames if something else has changed it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from helpers.containers import KINDS, make
from helpers.generated_files import KINDS as GENERATED
from helpers.generated_files import files
from helpers.generated_id3 import genre_frames, other_frame, synchsafe
from helpers.properties import examples
from helpers.readers import placed
from helpers.tagged import prepare, with_front
from helpers.writes import REPLACE, undo, write
from hypothesis import given
from hypothesis import strategies as st

from tagger.genres.policy import Policy
from tagger.state.store import State
from tagger.tags.genre_tag import read_fields, restore_fields, write_genres
from tagger.types import Action

APPEND = Policy("append")
STARTS = ("no tag block", "no genre", "one genre", "several genres")


def written_and_undone(path: Path, state: State, *policies: Policy) -> bool:
    """Whether each policy, in turn, wrote the file; then all is undone, the last first."""
    runs = []
    for number, policy in enumerate(policies):
        runs.append(state.begin_run("tag"))
        outcome = write(path, state, runs[-1], policy, jazz=0.9 - 0.8 * (number % 2))
        if outcome.action is Action.FAILED:
            return False
        assert outcome.action in (Action.WRITTEN, Action.UNCHANGED), outcome.reason
    for run in reversed(runs):
        assert all(item.action is Action.WRITTEN for item in undo(state, run))
    return True


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("policies", [[REPLACE], [APPEND], [REPLACE, APPEND, REPLACE]])
def test_every_byte_of_a_file_comes_back(tmp_path, state, kind, start, policies):
    path = make(kind, tmp_path)
    prepare(path, start)
    before = path.read_bytes()
    assert written_and_undone(path, state, *policies)
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", GENERATED)
@examples(12)
@given(data=st.data(), policy=st.sampled_from([REPLACE, APPEND]))
def test_every_byte_of_any_file_comes_back(tmp_path, kind, data, policy):
    path = placed(tmp_path, data.draw(files(kind)))
    before = path.read_bytes()
    with State(tmp_path / "state.db") as state:
        if written_and_undone(path, state, policy):
            assert path.read_bytes() == before


def test_an_undo_can_be_undone_to_the_byte(tmp_path, state):
    path = make("m4a", tmp_path)
    prepare(path, "several genres")
    run = state.begin_run("tag")
    write(path, state, run, REPLACE)
    written = path.read_bytes()
    undo(state, run)
    assert path.read_bytes() != written
    (later,) = [item.id for item in state.runs() if item.kind == "undo"]
    undo(state, later)
    assert path.read_bytes() == written


# --- when another program has changed something else ----------------------------------------------

# Windows-1251 under the label of Latin-1, numbers, blanks and zeros at the end, and several frames.
BODIES = [
    b"\0\xd0\xee\xea",
    b"\0\xd0\xee\xea\0\0",
    b"\0(17)",
    b"\x0017 ",
    b"\0\xcc\xf3\xe7\xfb\xea\xe0",
]


@st.composite
def odd_tags(draw, major):
    """A tag of this version with odd genres among its other frames, and a title at the end."""
    name = "TCO" if major == 2 else draw(st.sampled_from(["TCON", "TCON", "TCO\0", "TCO "]))
    bodies = draw(st.lists(st.sampled_from(BODIES), max_size=3))
    found = [_frame(major, name, body) for body in bodies] + draw(genre_frames(major))
    found += [draw(other_frame(major)) for _ in range(draw(st.integers(1, 4)))]
    found = draw(st.permutations(found))
    body = b"".join([*found, _frame(major, "TT2" if major == 2 else "TIT2", b"\0Title")])
    body += bytes(draw(st.sampled_from([0, 1, 700])))
    return b"ID3" + bytes([major, 0, 0]) + synchsafe(len(body)) + body


def _frame(major: int, name: str, body: bytes) -> bytes:
    if major == 2:
        return name.encode() + len(body).to_bytes(3, "big") + body
    size = synchsafe(len(body)) if major == 4 else struct.pack(">I", len(body))
    return name.encode() + size + b"\0\0" + body


@pytest.mark.parametrize("major", [2, 3, 4])
@examples(60)
@given(data=st.data())
def test_frames_keep_bytes_and_places_though_the_title_was_changed(tmp_path, major, data):
    tag = data.draw(odd_tags(major))
    path = with_front(tmp_path, tag)
    fields = read_fields(path)
    write_genres(path, ["Jazz", "Bebop"])
    path.write_bytes(path.read_bytes().replace(b"\0Title", b"\0Other"))
    restore_fields(path, fields)
    assert path.read_bytes()[10 : len(tag)].rstrip(b"\0") == tag[10:].replace(
        b"\0Title", b"\0Other"
    ).rstrip(b"\0")
    assert read_fields(path) == fields
