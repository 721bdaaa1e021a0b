"""The line that shows what goes on fits any terminal, and says what matters most."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wcwidth import wcswidth, wcwidth

from tagger.cli.bar_text import Status, plain_line, status_line
from tagger.cli.fitting import fit, width

HALF = Status("predicting", 29, 64, 31.2, 80.4, 0.45, 3.204, "04 Mirror Ball.m4a")


@pytest.mark.parametrize(
    "columns, line",
    [
        (39, "predicting 29/64 [00:31<01:20] 04 Mirr…"),
        (49, "predicting 29/64 [00:31<01:20, 3.20/s] 04 Mirror…"),
        (
            79,
            "predicting:  45%|█████▍      | 29/64 [00:31<01:20, 3.20 tracks/s] 04 Mirror Ba…",
        ),
    ],
)
def test_what_fits_is_shown(columns: int, line: str) -> None:
    assert status_line(HALF, columns) == line


def test_a_wide_terminal_shows_the_whole_name() -> None:
    long = replace(HALF, name=f"{'long ' * 18}end.mp3")
    assert status_line(long, 199).endswith("long end.mp3")
    assert "█" in status_line(long, 199)


def test_a_step_whose_last_tracks_bring_no_work_is_not_shown_as_complete() -> None:
    nearly = replace(HALF, done=62, share=1.0)
    assert "predicting:  99%|" in status_line(nearly, 79)
    assert "62/64 (99%)" in plain_line(nearly, 79)
    assert "predicting: 100%|" in status_line(replace(nearly, done=64), 79)


def test_before_anything_is_done_no_time_is_made_up() -> None:
    assert "[00:02<?, ? tracks/s]" in status_line(Status("predicting", 0, 64, 2), 79)
    in_first = Status("predicting", 0, 64, 20, 300.0, share=0.05, rate=0.0)
    assert "[00:20<05:00, ? tracks/s]" in status_line(in_first, 79)


def test_a_step_without_a_total_counts() -> None:
    assert status_line(Status("scanning", 12_300), 79) == "scanning 12,300"
    assert status_line(Status("loading x (346 MB)", counts=False, seconds=4), 79) == (
        "loading x (346 MB) … [00:04]"
    )


@given(
    st.builds(
        Status,
        st.sampled_from(["predicting", "loading 日本語 (7 MB)", "x" * 60]),
        st.integers(0, 10**7),
        st.none() | st.integers(1, 10**7),
        st.floats(0, 10**6),
        st.none() | st.floats(0, 10**7),
        st.floats(0, 1),
        st.none() | st.floats(0, 10**5),
        st.text(max_size=80),
        st.booleans(),
    ),
    st.integers(1, 210),
)
def test_no_line_is_wider_than_the_terminal_whatever_is_in_a_name(
    status: Status, columns: int
) -> None:
    line = status_line(status, columns)
    assert width(line) <= columns
    assert "\n" not in line and "\x1b" not in line and "\r" not in line


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf"])))
def test_the_width_is_never_less_than_the_terminals(text: str) -> None:
    assert width(text) >= wcswidth(text)


def test_the_width_of_no_character_is_less_than_the_terminals() -> None:
    every = (chr(code) for code in range(0xA0, 0x20000) if not 0xD800 <= code < 0xE000)
    assert not [hex(ord(c)) for c in every if width(c) < wcwidth(c)]


@pytest.mark.parametrize(
    "text, columns, fitted",
    [
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
        ("abc", 3, "abc"),
        ("abc", 2, "a…"),
        ("abc", 0, ""),
        ("", 0, ""),
    ],
)
def test_a_text_is_cut_by_its_width(text: str, columns: int, fitted: str) -> None:
    assert fit(text, columns) == fitted
