"""Failures are grouped by their reasons, without the numbers and names in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.app.failures import MOST_GROUPS, OTHERS, Failures
from tagger.types import Action, Outcome


def grouped(*reasons: str, existing: tuple[str, ...] = ()) -> list[tuple[int, str]]:
    failures = Failures()
    for number, reason in enumerate(reasons):
        path = Path(f"/music/{number} Song.mp3")
        failures.add(Outcome(path, Action.FAILED, reason, existing=existing))
    return [(group.count, group.reason) for group in failures]


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("the file is empty", "the file is empty", "the file is empty"),
        (
            "truncated: nothing can be decoded after 8.4 s of the 1,240.0 s it declares",
            "truncated: nothing can be decoded after 91.0 s of the 92.5 s it declares",
            "truncated: nothing can be decoded after … s of the … s it declares",
        ),
        ("hard-linked: 1 other name", "hard-linked: 12 other name", "hard-linked: … other name"),
        ("[Errno 2] in '/music/a b.mp3'", "[Errno 2] in '/x'", "[Errno …] in …"),
        ("cannot open /music/a.mp3: no", "cannot open /b.mp3: no", "cannot open …: no"),
        ('readers read "A" as one', 'readers read "B" as one', "readers read … as one"),
    ],
)
def test_reasons_that_differ_by_numbers_or_names_are_one(one: str, other: str, reason: str) -> None:
    assert grouped(one, other) == [(2, reason)]


def test_a_single_failure_keeps_its_reason() -> None:
    reason = "truncated: nothing can be decoded after 8.4 s of the 9.0 s it declares"
    assert grouped(reason, "the file is empty") == [(1, reason), (1, "the file is empty")]


def test_the_genres_and_the_name_of_a_file_do_not_count() -> None:
    failures = Failures()
    for name, genres in (("a.mp3", ("Rock",)), ("b.mp3", ("Jazz", "Folk, World"))):
        reason = f"{name}: its genre has changed since the report, to {'; '.join(genres)}; make a"
        failures.add(Outcome(Path("/m", name), Action.FAILED, reason, existing=genres))
    (group,) = failures
    assert group.reason == "…: its genre has changed since the report, to …; make a"


def test_names_of_formats_are_no_numbers() -> None:
    reasons = ("its ID3v2 tag is cut off", "its ID3v1 tag is cut off", "its APEv2 tag is cut off")
    assert len(grouped(*reasons)) == 3


def test_the_largest_group_is_first_and_their_number_is_limited() -> None:
    words = ["".join("abcdefghij"[int(digit)] for digit in str(n)) for n in range(3 * MOST_GROUPS)]
    groups = grouped(*(f"fault {word}" for word in words), "fault a")
    assert len(groups) == MOST_GROUPS + 1
    assert groups[0] == (2 * MOST_GROUPS, OTHERS) and groups[1] == (2, "fault a")


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("the file is empty", "copy or download it again"),
        ("truncated: nothing can be decoded at 3.0 s of the 9.0 s", "copy or download it again"),
        ("permission denied", "right to read"),
        ("it took longer than 120 s to decode (--decode-timeout allows more)", "--decode-timeout"),
        ("it has changed since it was predicted; run again", ""),
        ("no decoder can read it (soundfile: x; PyAV: y)", "player"),
    ],
)
def test_each_group_says_what_to_do_unless_its_reason_does(reason: str, advice: str) -> None:
    failures = Failures()
    failures.add(Outcome(Path("/m/a.mp3"), Action.FAILED, reason))
    (group,) = failures
    assert advice in group.advice and bool(advice) == bool(group.advice)


def test_a_playlist_is_not_taken_for_damaged_music() -> None:
    failures = Failures()
    reason = "no decoder can read it (PyAV: Invalid data)"
    failures.add(Outcome(Path("/m/a.m3u8"), Action.FAILED, reason))
    (group,) = failures
    assert group.advice == "it is a playlist: name the folder of its tracks instead"
