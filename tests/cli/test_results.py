"""What is printed at the end of a run: lines that are true in every mode, and tables that fit."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers.command import Run, environment
from helpers.known import ROCK, know, song
from helpers.terminal import open_terminal
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from tagger.app.doubts import LISTED
from tagger.app.summary import Summary
from tagger.cli.fitting import (
    ASCII,
    Glyphs,
    blocks,
    cut_middle,
    cut_path,
    glyphs_for,
    relative_name,
    width,
)
from tagger.cli.folder_diff import FolderDiff, unusual_reason
from tagger.cli.genre_table import SHOWN_GENRES, quantile
from tagger.cli.results import Results
from tagger.genres.policy import Policy, decide, rank_genres
from tagger.genres.vocabulary import Vocabulary
from tagger.report.escape import printable
from tagger.types import Action, Outcome, Prediction, TagInfo, Track

WIDTHS = (40, 50, 80, 200)
UNSURE = {"pop": 0.4, "disco": 0.3, "rock": 0.3}


# --- lines, in every mode -------------------------------------------------------------------------


@pytest.fixture
def music(invoke: Run, tmp_path: Path) -> Path:
    """A file of every kind; "sure" and "same" are Rock at 0.60, and so is one without tags."""
    folder, home = tmp_path / "Music", tmp_path / "home"
    sure, tagged = song(folder / "sure.flac"), song(folder / "tagged.flac", "Jazz")
    same, unsure = song(folder / "same.flac", "Rock"), song(folder / "unsure.flac")
    silent, raw = song(folder / "silent.flac"), folder / "raw.aac"
    raw.write_bytes(b"no tags")
    know(home, [sure, tagged, same, raw], ROCK)
    know(home, [unsure], UNSURE)
    know(home, [silent], {})
    (folder / "bad.mp3").touch()
    (home / "w.txt").write_text("Metal\nPop\n")
    return folder


PREDICTED = "predicted genres: Rock 4 · Pop 1"
RAW = "cannot be tagged: 1 file (predicted only)"
TO_WRITE = "no file was changed; run without --dry-run to write the tags"
TO_WRITE_TOO = "no file was changed; run with --write-tags, without --dry-run, to write the tags"


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ([], ["unsure 1 · predicted 5 · failed 1", PREDICTED]),
        (["--by", "album"], ["unsure 1 · predicted 5 · failed 1", "predicted genres: Rock 5"]),
        (
            ["--dry-run"],
            [
                "would write 1 · kept 2 · unsure 2 · predicted 1 · failed 1", PREDICTED,
                "genres to be written: Rock 1", RAW, TO_WRITE_TOO,
            ],
        ),
        (
            ["--write-tags", "--dry-run", "--on-existing", "replace", "--top", "2"],
            [
                "would write 3 · unsure 2 · predicted 1 · failed 1", PREDICTED,
                "genres to be written: Metal 3 · Rock 2", RAW, TO_WRITE,
            ],
        ),
        (
            ["--write-tags", "--dry-run", "--on-existing", "append"],
            [
                "would write 2 · unsure 2 · unchanged 1 · predicted 1 · failed 1", PREDICTED,
                "genres to be written: Rock 2", RAW, TO_WRITE,
            ],
        ),
        (  # nothing would be written, so nothing is said about writing
            ["--write-tags", "--dry-run", "--whitelist", "w.txt"],
            ["kept 2 · unsure 3 · predicted 1 · failed 1", PREDICTED, RAW],
        ),
        (  # Metal is let through after Rock was dropped: what is predicted and written differ
            ["--write-tags", "--whitelist", "w.txt", "--min-confidence", "0.3"],
            [
                "written 2 · kept 2 · unsure 1 · predicted 1 · failed 1", PREDICTED,
                "genres written: Metal 1 · Pop 1", RAW, "undo with: tag-genres undo --run 1",
            ],
        ),
        (
            ["--write-tags", "--skip", ".flac", "--csv", "-"],
            ["kept 5 · predicted 1 · failed 1", "predicted genres: Rock 1", RAW],
        ),
        (
            ["--write-tags", "--by", "album"],
            [
                "written 2 · kept 2 · unsure 1 · predicted 1 · failed 1",
                "predicted genres: Rock 5", "genres written: Rock 2", RAW,
                "undo with: tag-genres undo --run 1",
            ],
        ),
    ],
)  # fmt: skip
def test_every_line_is_true_in_every_mode(
    invoke: Run, music: Path, options: Sequence[str], lines: Sequence[str]
) -> None:
    invoke(music, "--csv", "first.csv")  # so that bad.mp3 is known, too
    done = invoke(music, *options)
    assert done.returncode == 3
    fixed = (f"failed: {music / 'bad.mp3'}: ", "report: ", "gtzan-small ", "there are stronger")
    said = [line for line in done.stderr.splitlines() if not line.startswith(fixed)]
    assert said == list(lines)


def test_json_counts_as_the_closing_lines_do(invoke: Run, music: Path) -> None:
    options = ("--whitelist", "w.txt", "--min-confidence", "0.3", "--write-tags", "--json")
    summary = json.loads(invoke(music, *options).stdout.splitlines()[-1])
    assert summary["predicted_genres"] == {"Rock": 4, "Pop": 1}
    assert summary["written_genres"] == {"Metal": 1, "Pop": 1}


def test_what_is_left_out_names_the_options_that_do_it(invoke: Run, music: Path) -> None:
    (music / "silent.flac").write_bytes((music / "tagged.flac").read_bytes())  # with a genre
    said = invoke(music, "--only-missing", "--skip", ".aac").stderr
    assert "7 tracks, 4 known from earlier runs, 2 left out by --skip and --only-missing" in said
    said = invoke(music, "--skip", ".aac").stderr  # the copy is known by its audio
    assert "7 tracks, 6 known from earlier runs, 1 left out by --skip" in said


def test_no_line_about_writing_follows_a_run_that_would_write_nothing(
    invoke: Run, tmp_path: Path
) -> None:
    know(tmp_path / "home", [song(tmp_path / "Music" / "a.flac", "Rock")], ROCK)
    for options in (["--dry-run"], ["--write-tags", "--dry-run"], ["--write-tags"], []):
        said = invoke(tmp_path / "Music", *options).stderr
        assert "no file was changed" not in said and "undo with" not in said
        assert "genres written" not in said and "to be written" not in said


def test_an_undo_counts_files_and_says_what_it_would_do(invoke: Run, tmp_path: Path) -> None:
    music, home = tmp_path / "Music", tmp_path / "home"
    know(home, [song(music / "a.flac")], ROCK)
    assert invoke(music, "--write-tags").returncode == 0
    (home / "e.csv").write_text(f"path,genre\n{music / 'a.flac'},Bop\n")
    assert invoke("apply", "e.csv").returncode == 0
    both = ("undo", "--run", 1, "--run", 2)
    planned = invoke(*both, "--dry-run").stderr
    assert planned == "run 1, 2: would put back the genre of 1 file\n"
    done = invoke(*both).stderr.splitlines()
    assert done[0] == "run 1, 2: put back the genre of 1 file"
    assert done[1].startswith("this undo is run ")


def test_an_undo_says_which_files_somebody_has_put_back_before(invoke: Run, tmp_path: Path) -> None:
    paths = [song(tmp_path / "Music" / name, "Pop") for name in ("a.flac", "b.flac")]
    old = paths[0].read_bytes()
    know(tmp_path / "home", paths, ROCK)
    assert invoke(tmp_path / "Music", "--write-tags", "--on-existing", "replace").returncode == 0
    paths[0].write_bytes(old)
    assert invoke("undo").stderr.splitlines()[:2] == [
        "run 1: put back the genre of 1 file",
        "unchanged: 1 file with the old genre already",
    ]


def test_a_dry_run_of_an_undo_that_would_fail_does_not_speak_as_if_it_had_run(
    invoke: Run, tmp_path: Path
) -> None:
    path = song(tmp_path / "Music" / "a.flac")
    know(tmp_path / "home", [path], ROCK)
    assert invoke(tmp_path / "Music", "--write-tags").returncode == 0
    path.unlink()
    done = invoke("undo", "--dry-run")
    assert done.returncode == 3
    assert "run 1: would put back the genre of 0 files" in done.stderr


def test_a_track_that_failed_with_one_model_is_not_known_from_earlier_runs_for_the_next(
    invoke: Run, music: Path, tiny_model: Path
) -> None:
    for path in music.iterdir():
        if path.name not in ("bad.mp3", "sure.flac"):
            path.unlink()
    done = invoke(music, "--model", "gtzan-small", "--model", tiny_model)
    assert "2 tracks, 1 known from earlier runs" in done.stderr
    assert re.search(r"on cpu, \w+ · 2 tracks$", done.stderr, re.MULTILINE), done.stderr


# --- tables ---------------------------------------------------------------------------------------


def outcome_of(
    path: str, shares: dict[str, float], *existing: str, policy: Policy | None = None
) -> Outcome:
    """As a dry run gives it."""
    policy = policy or Policy(on_existing="replace")
    prediction = Prediction(
        Track(Path(path), 1, 1), tuple(shares), tuple(shares.values()), 1.0, 8, 60.0
    )
    decision = decide(prediction, TagInfo(existing), policy)
    return Outcome(
        Path(path), decision.action, decision.reason, prediction, existing, decision.genres,
        tuple(rank_genres(prediction, policy)),
    )  # fmt: skip


def shown(
    summary: Summary, width: int, *reports: Path, glyphs: Glyphs | None = None, root: str = "/music"
) -> list[str]:
    """The lines on a terminal of this width."""
    stream = io.StringIO()
    screen = Console(
        file=stream, width=width, color_system=None, markup=False, highlight=False, emoji=False
    )
    Results(screen, summary, (Path(root),), glyphs or Glyphs()).show(reports)
    return [line.rstrip() for line in stream.getvalue().split("\n")][:-1]


def run_of(*outcomes: Outcome, **options: object) -> Summary:
    summary = Summary(dry_run=True, policy=Policy(on_existing="replace"), **options)  # type: ignore[arg-type]
    for outcome in outcomes:
        summary.add(outcome)
    return summary


def example() -> Summary:
    """Tracks of three genres, a doubtful one, one that disagrees, and failures of two kinds."""
    tracks = [
        outcome_of(f"/music/Rock/{n}.mp3", {"Rock": 0.9 - n / 100, "Jazz": 0.1}) for n in range(6)
    ]
    return run_of(
        *tracks,
        outcome_of("/music/坂本龍一/千のナイフ.flac", {"Jazz": 0.7, "Rock": 0.3}, "Techno"),
        outcome_of("/music/A/unsure.mp3", {"Blues": 0.4, "Jazz": 0.35, "Rock": 0.25}),
        Outcome(Path("/music/A/b.mp3"), Action.FAILED, "truncated: 3.1 s of the 9 s it declares"),
        Outcome(Path("/music/A/c.mp3"), Action.FAILED, "truncated: 7.0 s of the 8 s it declares"),
        Outcome(Path("/music/A/d.mp3"), Action.FAILED, "permission denied"),
    )


def test_the_tables_say_what_was_predicted_where_to_look_and_what_failed() -> None:
    assert shown(example(), 80, Path("genres.csv")) == [
        "would write 7 · unsure 1 · failed 3",
        "",
        "genre  tracks  share  mean confidence  to be written",
        "Rock        6    75%             0.88              6  █████████████████████████",
        "Blues       1    12%             0.40                 ████▏",
        "Jazz        1    12%             0.70              1  ████▏",
        "",
        "confidence: 0 [    ▂  ▂█▂] 1, median 0.86, half of the tracks from 0.70 to 0.88",
        "unsure: 1 track (below --min-confidence 0.5)",
        "",
        "most doubtful (1 track)",
        "  A/unsure.mp3  Blues 0.40 · Jazz 0.35",
        "",
        "prediction disagrees with the tag (1 track)",
        "  坂本龍一/千のナイフ.flac  Techno → Jazz 0.70",
        "",
        "failed: 3 files",
        "  2 files: truncated: … s of the … s it declares",
        "    A/b.mp3",
        "    → the file is incomplete: copy or download it again",
        "  1 file: permission denied",
        "    A/d.mp3",
        "    → give yourself the right to read and write it",
        "  all of them: see `reason` in genres.csv",
        "",
        "report: genres.csv",
        "no file was changed; run without --dry-run to write the tags",
    ]


NEXT = "no music file was changed; run with --write-tags --dry-run to see what would be written"


def test_a_first_look_says_what_to_do_next() -> None:
    summary = Summary(write_tags=False)
    outcome = outcome_of("/music/a.mp3", {"Rock": 0.9})
    summary.add(replace(outcome, action=Action.PREDICTED, genres=()))
    assert shown(summary, 120, Path("genres.csv"))[-2:] == ["report: genres.csv", NEXT]
    assert shown(summary, 120, Path("-"))[-1] == NEXT
    summary.dry_run = True
    assert NEXT not in shown(summary, 120, Path("genres.csv"))


def test_where_models_have_different_floors_none_is_named() -> None:
    summary = example()
    summary.floors.add(0.1)
    assert "unsure: 1 track (below --min-confidence)" in shown(summary, 80)


def test_in_ascii_the_tables_have_bars_too() -> None:
    lines = shown(example(), 80, glyphs=ASCII)
    assert not [line for line in lines if not line.isascii()]
    assert any(re.fullmatch(r"Rock +6 +75% +0.88 +6 +#{20,}", line) for line in lines)
    (name,) = (line for line in lines if line.endswith("Techno -> Jazz 0.70"))
    assert name.startswith(r"  \u5742\u672c") and "..." in name and cell_len(name) < 80


NAMES = st.text(min_size=1, max_size=60).filter(lambda name: "/" not in name and "\0" not in name)
TRACKS = st.lists(
    st.tuples(NAMES, NAMES, st.floats(0, 1), st.lists(NAMES, max_size=3), NAMES), max_size=12
)


def summary_of(tracks: list[tuple[str, str, float, list[str], str]]) -> Summary:
    outcomes = []
    for folder, name, share, existing, genre in tracks:
        path = f"/music/{folder}/{name}"
        outcomes.append(outcome_of(path, {genre: share, "Jazz": (1 - share) / 2}, *existing))
        outcomes.append(Outcome(Path(path), Action.FAILED, f"{genre}: {existing}"))
    return run_of(*outcomes)


@settings(max_examples=40)
@given(TRACKS, st.sampled_from(WIDTHS))
def test_whatever_names_and_genres_are_no_line_is_wider_than_the_terminal(
    tracks: list[tuple[str, str, float, list[str], str]], width: int
) -> None:
    for glyphs in (Glyphs(), ASCII):
        for line in shown(summary_of(tracks), width, Path("genres.csv"), glyphs=glyphs):
            assert cell_len(line) < width, line
            assert printable(line) == line


@pytest.mark.parametrize("width", WIDTHS)
def test_a_list_fits_a_terminal_that_shows_joined_emoji_one_by_one(width: int) -> None:
    family = "👩\u200d👩\u200d👧"
    tracks = [(family, f"{'b' * length}{family * 9}", 0.3, [], "Jazz fusion") for length in (0, 60)]
    summary = summary_of(tracks)
    diff = diff_of(width, *(outcome_of(f"/m/{t[1]}", {"Polka": 0.3}) for t in tracks), verbose=True)
    lines = [line for line in (*shown(summary, width), *diff) if family[0] in line]
    assert lines and all(sum(map(cell_len, line)) < width for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_genre_of_a_large_model_is_counted_and_few_are_named(width: int) -> None:
    outcomes = [
        outcome_of(f"/music/{n}.mp3", {f"Genre {n % 519}": 0.8, "Jazz": 0.1}) for n in range(1000)
    ]
    lines = shown(run_of(*outcomes), width)
    rows = [line for line in lines if re.match(r"Genre \d+ +2 +<1%", line)]
    assert len(rows) == SHOWN_GENRES
    (more,) = (line.split() for line in lines if re.match(r"\d+ more ", line))
    assert (more[0], more[2]) == (str(519 - SHOWN_GENRES), str(1000 - 2 * SHOWN_GENRES))


def test_lists_hold_ten_tracks_and_say_of_how_many() -> None:
    unsure = [
        outcome_of(f"/music/{n}.mp3", {"Rock": 0.3 + n / 1000, "Jazz": 0.1}) for n in range(30)
    ]
    differing = [
        outcome_of(f"/music/d{n}.mp3", {"Rock": 0.6 + n / 1000, "Jazz": 0.1}, "Polka")
        for n in range(20)
    ]
    lines = shown(run_of(*unsure, *differing), 80)
    at = lines.index(f"most doubtful ({LISTED} of 30 tracks)")
    assert lines[at + 1].split() == ["0.mp3", "Rock", "0.30", "·", "Jazz", "0.10"]
    assert lines[at + LISTED].startswith("  9.mp3") and lines[at + LISTED + 1] == ""
    at = lines.index(f"prediction disagrees with the tag ({LISTED} of 20 tracks)")
    assert lines[at + 1].split() == ["d19.mp3", "Polka", "→", "Rock", "0.62"]


def test_an_album_is_one_row() -> None:
    policy = Policy(on_existing="replace")
    summary = Summary(write_tags=False, policy=policy, by="album")
    for n in range(12):
        path = f"/music/Artist/Album/{n}.mp3"
        prediction = outcome_of(path, {"Rock": 0.3, "Jazz": 0.1}).prediction
        summary.add(Outcome(Path(path), Action.PREDICTED, "", prediction, ranked=(("Rock", 0.3),)))
    lines = shown(summary, 80)
    assert "most doubtful (12 tracks)" in lines
    assert "  Artist/Album (12 tracks)  Rock 0.30" in lines


def test_a_command_to_copy_stays_in_one_line() -> None:
    summary = example()
    summary.run, summary.state = 3, Path("/a folder/with a long name/of forty columns/state.db")
    summary.actions[Action.WRITTEN] = 1
    lines = shown(summary, 40)
    command = lines[lines.index("undo with:") + 1]
    assert command == f"tag-genres undo --run 3 --state '{summary.state}'"


def test_after_apply_the_genres_of_the_files_are_counted() -> None:
    summary = Summary(run=2)
    for n, genre in enumerate(("Bop", "Bop", "Swing")):
        summary.add(Outcome(Path(f"/m/{n}"), Action.WRITTEN, genres=(genre,)))
    lines = shown(summary, 80)
    assert lines[2].split() == ["genre", "files", "share"]
    assert lines[3].split()[:3] == ["Bop", "2", "67%"] and not any("unsure" in it for it in lines)


def test_the_share_of_an_applied_genre_is_that_of_the_files() -> None:
    summary = Summary(run=2)
    for n in range(3):
        summary.add(Outcome(Path(f"/m/{n}"), Action.WRITTEN, genres=("Bop", "Swing")))
    rows = [line.split()[:3] for line in shown(summary, 80) if line.startswith(("Bop", "Swing"))]
    assert rows == [["Bop", "3", "100%"], ["Swing", "3", "100%"]]


def test_a_genre_that_is_written_is_named_although_it_is_no_predicted_one() -> None:
    policy = Policy(
        vocabulary=Vocabulary(whitelist=("Rock",), tree={f"Style {n}": "Rock" for n in range(40)})
    )
    summary = Summary(dry_run=True, policy=policy)
    for n in range(80):
        shares = {f"Style {n % 40}": 0.9, "Jazz": 0.1}
        summary.add(outcome_of(f"/music/{n}.mp3", shares, policy=policy))
    rows = [line.split() for line in shown(summary, 80)]
    assert ["Rock", "0", "0%", "80"] in rows
    style = next(row for row in rows if row[:2] == ["Style", "0"])
    assert style[2:5] == ["2", "2%", "0.90"] and len(style[5]) > 10  # its bar is no speck


def test_written_genres_may_leave_no_row_to_predicted_ones() -> None:
    summary = Summary()
    summary.genres.update({f"Style {n}": 1 for n in range(20)})
    summary.confidence.update({f"Style {n}": 0.5 for n in range(20)})
    summary.written.update({f"Parent {n}": 2 for n in range(SHOWN_GENRES)})
    rows = [line.split() for line in shown(summary, 80)]
    assert ["20", "more", "20", "100%", "0.50"] in rows


def test_bars_and_quantiles() -> None:
    glyphs = Glyphs()
    assert blocks(1, 10, glyphs.bar) == "█" * 10 and blocks(0, 10, glyphs.bar) == " " * 10
    assert blocks(0.5, 3, glyphs.bar) == "█▌ " and blocks(0.0001, 2, glyphs.bar) == "▏ "
    assert blocks(0.0001, 2, ASCII.bar) == "# " and blocks(0.55, 9, ASCII.bar) == "#####    "
    summary = Summary()
    summary.spread.update({10: 1, 50: 2, 90: 1})
    assert [quantile(summary.spread, q) for q in (0.25, 0.5, 0.75, 1)] == [0.1, 0.5, 0.5, 0.9]


@given(st.text(max_size=80), st.integers(4, 100), st.sampled_from(["…", "..."]))
def test_a_name_that_is_cut_fits_and_keeps_its_end(text: str, columns: int, gap: str) -> None:
    for cut in (cut_middle(text, columns, gap), cut_path(text, columns, gap)):
        assert cell_len(cut) <= columns
        assert cut == text if width(text) <= columns else gap in cut or text.endswith(f"/{cut}")


def test_the_name_of_a_file_stays_longer_than_those_of_its_folders() -> None:
    assert cut_path("Artist/A long album/01 Song.mp3", 24, "…") == "Artist/A lo…/01 Song.mp3"
    assert cut_path("Artist/A long album/01 Song.mp3", 9, "…") == "01 S….mp3"
    roots = (Path("/music"), Path("/home"))
    assert relative_name(Path("/music/a/b.mp3"), roots) == "a/b.mp3"
    assert relative_name(Path("/music"), roots) == "/music"
    assert relative_name(Path("/musical/a.mp3"), roots) == "/musical/a.mp3"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("utf-8", "▏…→"), ("cp437", "#...->"), ("ascii", "#...->"), (None, "#...->")],
)
def test_characters_are_those_of_the_encoding(encoding: str | None, expected: str) -> None:
    glyphs = glyphs_for(SimpleNamespace(encoding=encoding, errors="strict"))  # type: ignore[arg-type]
    assert glyphs.bar[1] + glyphs.gap + glyphs.arrow == expected


@pytest.mark.parametrize("columns", [40, 50, 80])
def test_a_terminal_shows_the_tables_and_a_pipe_the_lines(
    tmp_path: Path, music: Path, columns: int
) -> None:
    home = tmp_path / "home"
    with open_terminal(
        music, "--dry-run", "--whitelist", "w.txt", "--min-confidence", "0.3",
        cwd=home, env=environment(home), columns=columns,
    ) as terminal:  # fmt: skip
        assert terminal.wait() == 3
        assert terminal.widest <= columns
    lines = terminal.lines
    for expected in (
        r"  unsure\.flac  \+ Pop  0\.40.*",  # or its reason on the next line
        r"  unsure:",
        r"    silent\.flac.*",
        r"would write 2 · kept 2 · unsure 1.*",
        r"Rock +4 +80% +0\.60 .*█+",
        r"unsure: 1 track \(silent\)",
        r"prediction disagrees with the tag.*",
        r"failed: 1 file",
        r"report: genres\.csv",
    ):
        assert any(re.fullmatch(expected, line) for line in lines), (expected, lines)
    assert not any("it has no genre" in line for line in lines)


# --- the diff of a dry run ------------------------------------------------------------------------


def diff_of(width: int, *outcomes: Outcome, verbose: bool = False) -> list[str]:
    diff = FolderDiff(lambda: width, Glyphs(), (Path("/music"),), verbose)
    lines = [line for outcome in outcomes for line in diff.lines(outcome)]
    return [re.sub("\x1b\\[[0-9;]*m", "", line) for line in [*lines, *diff.rest()]]


SURE = {"Rock": 0.9, "Jazz": 0.1}
LOW = {"Rock": 0.4, "Jazz": 0.3}


def test_a_dry_run_has_a_line_a_track_below_its_folder_and_the_unsure_after_them() -> None:
    failed = Outcome(Path("/music/B/x.mp3"), Action.FAILED, "hard-linked: 1 other name")
    assert diff_of(
        80,
        outcome_of("/music/A/1.mp3", SURE),
        outcome_of("/music/A/2.mp3", LOW),
        outcome_of("/music/A/3.mp3", SURE, "Pop"),
        outcome_of("/music/A/4.mp3", SURE, "Other"),
        outcome_of("/music/B/1.mp3", {"Rock": 0.0, "Jazz": 0.0}),
        failed,
        outcome_of("/music/B/y.mp3", SURE, "Rock"),  # has it already
    ) == [
        "A",
        "  1.mp3  + Rock  0.90",
        "  3.mp3  - Pop  + Rock  0.90",
        "  4.mp3  - Other  + Rock  0.90",
        "  unsure:",
        "    2.mp3  Rock 0.40 · Jazz 0.30",
        "B",
        "  x.mp3  failed: hard-linked: 1 other name",
        "  unsure:",
        "    1.mp3  it is silent; no genre was predicted",
    ]


def test_what_tracks_of_an_album_share_is_said_once() -> None:
    def of_album(name: str, count: int, reason: str = "it has no genre") -> Outcome:
        outcome = outcome_of(f"/music/{name}", SURE)
        return replace(outcome, reason=f"{reason}; mean of {count} tracks of its album")

    assert diff_of(
        80,
        of_album("A/1.mp3", 2),
        of_album("A/2.mp3", 2, "it has no genre, predicted as Punk"),
        outcome_of("/music/A/3.mp3", SURE),
        of_album("A/4.mp3", 9),
        replace(of_album("A/5.mp3", 9), action=Action.UNSURE),
        of_album("A/6.mp3", 9),
        of_album("B/7.mp3", 9),
    ) == [
        "A", "  mean of 2 tracks of its album:",
        "    1.mp3  + Rock  0.90",
        "    2.mp3  + Rock  0.90  predicted as Punk",
        "  3.mp3  + Rock  0.90",
        "  mean of 9 tracks of its album:",
        "    4.mp3  + Rock  0.90",
        "    6.mp3  + Rock  0.90",
        "  unsure:",
        "    5.mp3  Rock 0.90 · Jazz 0.10",
        "B", "  mean of 9 tracks of its album:",
        "    7.mp3  + Rock  0.90",
    ]  # fmt: skip


def test_a_folder_without_anything_to_show_has_no_heading() -> None:
    same = outcome_of("/music/A/1.mp3", SURE, "Rock")
    assert diff_of(80, same) == []
    assert diff_of(80, same, verbose=True) == [
        "A", "  1.mp3  Rock  unchanged: it already has this genre",
    ]  # fmt: skip


@settings(max_examples=40)
@given(TRACKS, st.sampled_from(WIDTHS))
def test_no_line_of_a_dry_run_is_wider_than_the_terminal(
    tracks: list[tuple[str, str, float, list[str], str]], width: int
) -> None:
    outcomes = [
        outcome_of(f"/music/{folder}/{name}", {genre: share, "Jazz": (1 - share) / 2}, *existing)
        for folder, name, share, existing, genre in tracks
    ]
    for line in diff_of(width, *outcomes, verbose=True):
        assert cell_len(line) < width and printable(line) == line


def test_a_reason_is_shown_if_the_diff_does_not_show_it_by_itself() -> None:
    tree = Policy(
        on_existing="append", top=2, ratio=0, with_parents=True,
        vocabulary=Vocabulary(whitelist=("Rock", "Jazz"), tree={"Punk": "Rock"}),
    )  # fmt: skip
    both = outcome_of("/music/a.mp3", {"Rock": 0.5, "Jazz": 0.4}, "Pop", policy=tree)
    assert both.reason == "added to Pop, as Pop; Rock; Jazz" and unusual_reason(both) == ""
    mapped = outcome_of("/music/a.mp3", {"Punk": 0.9, "Jazz": 0}, policy=tree)
    assert mapped.reason == "it has no genre, predicted as Punk"
    assert unusual_reason(mapped) == "predicted as Punk"
    album = Outcome(
        Path("/a"), Action.WOULD_WRITE, "replaces Pop; mean of 9 tracks of its album",
        existing=("Pop",), genres=("Rock",),
    )  # fmt: skip
    assert unusual_reason(album) == "mean of 9 tracks of its album"
