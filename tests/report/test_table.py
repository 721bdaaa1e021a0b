from __future__ import annotations

import csv
import io
import os
import re
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import ReportError
from tagger.report import table
from tagger.report.escape import LONGEST, UNSAFE, csv_text, plain_text, printable
from tagger.report.table import write_csv
from tagger.report.target import COLUMNS, STDOUT
from tagger.types import Action, Outcome, Prediction, Track

ODD = (
    "plain", 'quoted "name"', "comma, name", "semi;colon", "two\nlines", "a\rreturn", "tab\tstop",
    " spaces ", "=1+1", "+1", "-1", "@x", "'=1", "''=1", "'it's", "\x1b[31mred", "\x07bell",
    "\x00nul", "\x9bcsi", "\udcff\udce4 latin", "\ud800", "\u202egnp.exe",
    "\u2028line", "back\\slash", "\\x1b", "\\u202e", "\\xff", "\\x5cxff", "é 音楽 🎵", "",
)  # fmt: skip
LABELS = ("blues", "hiphop", "jazz", "rock")
RANKED = (("Jazz", 0.65432109), ("Hip-Hop", 0.2), ("Blues", 0.1), ("Rock", 0.04567891))
ANY_TEXT = st.text(st.characters(exclude_categories=()))


def predicted(path: Path, shares=(0.1, 0.2, 0.65432109, 0.04567891), labels=LABELS) -> Prediction:
    return Prediction(Track(path, 1, 1), labels, shares, 0.875, 8, 183.456)


def outcome(name: str = "a.mp3", **changes) -> Outcome:
    path = Path("/music") / name
    predicted_genres = {"prediction": predicted(path), "ranked": RANKED}
    return Outcome(path, **{"action": Action.WRITTEN, **predicted_genres, **changes})


def written(tmp_path: Path, *outcomes: Outcome, labels=(), model="small") -> str:
    write_csv(outcomes, tmp_path / "genres.csv", model=model, labels=labels)
    return (tmp_path / "genres.csv").read_bytes().decode("utf-8-sig")


def rows_in(path: Path) -> list[dict[str, str]]:
    return rows(path.read_text("utf-8-sig"))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_columns_are_in_the_documented_order(tmp_path):
    header = written(tmp_path, outcome()).splitlines()[0]
    assert header == (
        "path,genre,confidence,agreement,second,second_confidence,third,third_confidence,windows,"
        "seconds,existing_genre,action,reason,model,new_genre,heard"
    )


def test_a_row_says_what_was_predicted_and_done(tmp_path):
    done = outcome(existing=("Polka", "Ska"), genres=("Jazz", "Hip-Hop"), reason="because")
    (row,) = rows(written(tmp_path, done))
    assert row == {
        "path": "/music/a.mp3", "genre": "Jazz", "confidence": "0.6543", "agreement": "0.875",
        "second": "Hip-Hop", "second_confidence": "0.2",
        "third": "Blues", "third_confidence": "0.1", "windows": "8", "seconds": "183.46",
        "existing_genre": "Polka; Ska", "action": "written", "reason": "because", "model": "small",
        "new_genre": "Jazz; Hip-Hop", "heard": "Jazz",
    }  # fmt: skip


def test_a_track_without_a_prediction_leaves_its_cells_empty(tmp_path):
    failed = Outcome(Path("/music/b.mp3"), Action.FAILED, "truncated")
    first, second = rows(written(tmp_path, outcome(), failed, labels=LABELS))
    assert [first[label] for label in LABELS] == ["0.1", "0.2", "0.654321", "0.045679"]
    filled = {name: value for name, value in second.items() if value}
    assert filled == {
        "path": "/music/b.mp3", "action": "failed", "reason": "truncated", "model": "small"
    }  # fmt: skip


def test_a_tag_that_stays_as_it_is_holds_what_it_held(tmp_path):
    (row,) = rows(written(tmp_path, outcome(action=Action.KEPT, existing=("Polka", "Ska"))))
    assert row["new_genre"] == "Polka; Ska"


def test_a_whitelist_that_admits_nothing_leaves_names_and_confidences_empty(tmp_path):
    (row,) = rows(written(tmp_path, outcome(ranked=())))
    named = ("genre", "confidence", "second", "second_confidence", "third", "heard")
    assert {row[name] for name in named} == {""}
    assert row["agreement"] == "0.875"


def test_a_track_that_is_not_music_has_probabilities_but_no_genre(tmp_path):
    talk = outcome(
        action=Action.NO_MUSIC, reason="Music at 0.04 is below 0.2", ranked=(), existing=("Talk",)
    )
    (row,) = rows(written(tmp_path, talk, labels=LABELS))
    assert (row["action"], row["reason"]) == ("no-music", "Music at 0.04 is below 0.2")
    assert (row["genre"], row["confidence"], row["second"], row["heard"]) == ("", "", "", "")
    assert (row["existing_genre"], row["new_genre"], row["rock"]) == ("Talk", "Talk", "0.045679")


def test_a_model_of_two_labels_has_no_third(tmp_path):
    (row,) = rows(written(tmp_path, outcome(ranked=(("yes", 0.75), ("no", 0.25)))))
    assert (row["genre"], row["second"], row["third"], row["third_confidence"]) == (
        "yes",
        "no",
        "",
        "",
    )


def test_a_confidence_of_zero_is_a_zero_and_not_an_empty_cell(tmp_path):
    prediction = predicted(Path("/x"), (0.0, 1.0), ("no", "yes"))
    silent = outcome(prediction=prediction, ranked=(("yes", 1.0), ("no", 0.0)))
    (row,) = rows(written(tmp_path, silent, labels=("no", "yes")))
    assert (float(row["second_confidence"]), float(row["no"])) == (0, 0)


def test_all_probabilities_follow_the_other_columns_in_the_order_of_the_labels(tmp_path):
    header, line = written(tmp_path, outcome(), labels=LABELS).splitlines()
    assert header.split(",") == [*COLUMNS, *LABELS]
    assert [float(cell) for cell in line.split(",")[-4:]] == [0.1, 0.2, 0.654321, 0.045679]


def test_no_track_at_all_is_a_header_alone(tmp_path):
    assert written(tmp_path).splitlines() == [",".join(COLUMNS)]


@pytest.mark.parametrize("name", ODD)
def test_odd_text_comes_back_by_every_reader(name, tmp_path):
    import pandas as pd

    text = written(
        tmp_path,
        outcome(f"x{name}", existing=(name,), reason=name),
        model=name,
        labels=(f"l{name}",),
    )
    (by_csv,) = rows(text)
    by_pandas = (
        pd.read_csv(tmp_path / "genres.csv", keep_default_na=False, dtype=str).iloc[0].to_dict()
    )
    assert by_pandas == by_csv
    assert len(by_csv) == len(COLUMNS) + 1
    for column in ("path", "existing_genre", "reason", "model"):
        original = f"/music/x{name}" if column == "path" else name
        assert plain_text(by_csv[column]) == original


@given(ANY_TEXT)
def test_no_cell_holds_what_a_terminal_or_a_spreadsheet_obeys(text):
    escaped = csv_text(text)
    assert not UNSAFE.search(escaped)
    assert not escaped.startswith(("=", "+", "-", "@", "\t", "\r"))
    escaped.encode("utf-8")


# Texts that look like escapes and formulas, and any other.
@given(st.text(st.sampled_from("ab\\x1bu208e5c'=-\x1b\x9b\udc9b\u202e\n"), max_size=12) | ANY_TEXT)
def test_a_cell_gives_its_text_back(text):
    assert plain_text(csv_text(text)) == text


def test_a_control_character_and_a_byte_of_the_same_number_are_distinguished():
    assert (csv_text("\x9b"), csv_text("\udc9b")) == (r"\u009b", r"\x9b")


@pytest.mark.parametrize("cell", ["=1", "it's", "'", "C:\\new", "\\xZZ", "'it's", "\\XFF"])
def test_a_cell_that_a_person_wrote_is_taken_as_it_is(cell):
    assert plain_text(cell) == cell


@given(ANY_TEXT)
def test_what_is_printed_is_one_line_without_control_characters(text):
    shown = printable(text)
    assert "\n" not in shown
    assert not UNSAFE.search(shown)


def test_ordinary_names_are_left_as_they_are():
    for text in (
        "C:\\Music\\x.mp3",
        "Sigur Rós - ( )",
        "AC/DC",
        "'Round Midnight",
        "音楽 🎵",
        "a-b+c=d",
    ):
        assert csv_text(text) == printable(text) == text


def test_many_rows_keep_their_order(tmp_path):
    count = 2 * table.CHUNK_ROWS + 1
    text = written(tmp_path, *(outcome(f"{number}.mp3") for number in range(count)))
    assert [row["path"] for row in rows(text)] == [
        f"/music/{number}.mp3" for number in range(count)
    ]


def test_rows_are_written_as_they_come(tmp_path):
    """Memory does not grow with the library: of a thousand chunks only one is held at a time."""
    seen = []

    def outcomes():
        for number in range(3 * table.CHUNK_ROWS):
            (scratch,) = tmp_path.iterdir()
            seen.append(scratch.stat().st_size)
            yield outcome(f"{number}.mp3")

    write_csv(outcomes(), tmp_path / "genres.csv", model="small")
    assert seen[-1] > 10 * table.CHUNK_ROWS


# --- where it goes --------------------------------------------------------------------------------


def test_a_failure_in_the_middle_leaves_an_older_report_and_nothing_else(tmp_path):
    target = tmp_path / "genres.csv"
    target.write_text("older")

    def outcomes():
        yield outcome()
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        write_csv(outcomes(), target, model="small")
    assert target.read_text() == "older"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("labels", [(), ("jazz", "rock")])
def test_an_older_report_is_replaced(tmp_path, labels):
    older = outcome(reason="older"), Outcome(Path("/music/x.mp3"), Action.FAILED, "gone")
    written(tmp_path, *older, labels=labels)
    assert "older" not in written(tmp_path, outcome(), outcome("x.mp3"), outcome("y.mp3"))
    assert [path.name for path in tmp_path.iterdir()] == ["genres.csv"]


def test_a_report_of_other_tracks_is_kept_under_one_name_and_named(tmp_path, caplog):
    caplog.set_level("INFO", "tagger")
    messages = []
    for names in (("a.mp3", "b.mp3", "\udcff.mp3"), ("b.mp3", "c.mp3"), ("d.mp3",)):
        rows = map(outcome, names)
        write_csv(rows, tmp_path / "genres.csv", messages.append, model="small")
    assert messages == [
        f"{tmp_path}/genres.csv listed 2 tracks that the new report does not list, such as "
        f"/music/a.mp3; it is kept as {tmp_path}/genres.previous.csv",
        f"{tmp_path}/genres.csv listed 2 tracks that the new report does not list, such as "
        f"/music/b.mp3; it is kept as {tmp_path}/genres.previous.csv, in place of an older report "
        "with 2 tracks that neither lists, such as /music/a.mp3",
    ]
    assert caplog.messages == messages  # a quiet run shows none
    assert sorted(path.name for path in tmp_path.iterdir()) == ["genres.csv", "genres.previous.csv"]
    kept = rows_in(tmp_path / "genres.previous.csv")
    assert [row["path"] for row in kept] == ["/music/b.mp3", "/music/c.mp3"]


def test_a_kept_report_that_a_person_edited_is_not_replaced_by_the_next(tmp_path):
    written(tmp_path, outcome("a.mp3"))
    text = written(tmp_path, outcome("b.mp3"))
    kept = tmp_path / "genres.previous.csv"
    kept.write_text(with_another_genre(kept.read_text("utf-8-sig")))
    written(tmp_path, outcome("c.mp3"))
    assert kept.read_text("utf-8-sig") == text
    (edited,) = tmp_path.glob("genres.previous.kept-*.csv")
    assert "Polka" in edited.read_text()


def test_a_file_starts_with_the_mark_that_spreadsheets_look_for(tmp_path):
    write_csv([outcome()], tmp_path / "genres.csv", model="small")
    data = (tmp_path / "genres.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbfpath,genre,")
    assert data.count(b"\xef\xbb\xbf") == 1


def test_a_report_without_the_mark_is_known_as_ours(tmp_path):
    """As an earlier version wrote it."""
    text = written(tmp_path, outcome())
    (tmp_path / "genres.csv").write_text(text)
    written(tmp_path, outcome())
    assert [path.name for path in tmp_path.iterdir()] == ["genres.csv"]


def with_another_genre(text: str) -> str:
    return text.replace(",Jazz,", ",Polka,", 1)


def with_a_column(text: str) -> str:
    first, *rest = text.splitlines()
    return "\n".join([f"{first},mine", *(f"{row},a note" for row in rest), ""])


def with_a_genre_in_the_wrong_column(text: str) -> str:
    first, row = text.splitlines()
    cells = row.split(",")
    cells[COLUMNS.index("new_genre")] = "Polka"
    return f"{first}\n{','.join(cells)}\n"


def as_excel_saves_it(text: str) -> str:
    return "\ufeff" + text.replace(",", ";").replace("\n", "\r\n")


@pytest.mark.parametrize(
    "change",
    [
        with_another_genre,
        with_a_column,
        with_a_genre_in_the_wrong_column,
        as_excel_saves_it,
        lambda text: "path,genre\n/music/a.mp3,Polka\n",
        lambda text: "SQLite format 3\0",
        lambda text: "",
    ],
)
def test_an_edited_report_is_kept_beside_the_new_one(tmp_path, change):
    target, messages = tmp_path / "genres.csv", []
    done = outcome(action=Action.KEPT, existing=("Ska",))
    edited = change(written(tmp_path, done))
    target.write_bytes(edited.encode())
    write_csv([outcome()], target, messages.append, model="small")
    (kept,) = tmp_path.glob("genres.kept-*.csv")
    assert kept.read_bytes() == edited.encode()
    assert len(messages) == 1 and kept.name in messages[0]


def test_each_edited_report_is_kept_however_soon_the_next_follows(tmp_path):
    for genre in ("Polka", "Ska", "Dub"):
        text = written(tmp_path, outcome()).replace(",Jazz,", f",{genre},", 1)
        (tmp_path / "genres.csv").write_text(text)
    written(tmp_path, outcome())
    kept = [path.read_text() for path in tmp_path.glob("genres.kept-*.csv")]
    assert len(kept) == 3 and all(any(g in text for text in kept) for g in ("Polka", "Ska", "Dub"))


def test_what_a_person_saves_during_a_run_is_kept(tmp_path):
    target = tmp_path / "genres.csv"
    before = written(tmp_path, outcome())

    def outcomes():
        yield outcome()
        target.write_text(with_another_genre(before))

    write_csv(outcomes(), target, model="small")
    (kept,) = tmp_path.glob("genres.kept-*.csv")
    assert "Polka" in kept.read_text()


def test_a_place_that_does_not_exist_is_a_report_error_before_the_first_row(tmp_path):
    def outcomes():
        pytest.fail("a row was asked for")
        yield

    with pytest.raises(ReportError, match="--csv"):
        write_csv(outcomes(), tmp_path / "none" / "genres.csv", model="small")


def test_a_folder_cannot_be_the_report(tmp_path):
    with pytest.raises(ReportError, match="--csv"):
        write_csv([outcome()], tmp_path, model="small")
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_is_a_link_stays_one(tmp_path):
    (tmp_path / "real.csv").write_text("older")
    (tmp_path / "genres.csv").symlink_to("real.csv")
    assert rows(written(tmp_path, outcome()))
    assert (tmp_path / "genres.csv").is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_device_or_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_csv([outcome()], pipe, model="small")
    assert os.read(reader, 65536).startswith(b"path,genre,")
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_standard_output_takes_the_report(capfd):
    print("before")
    write_csv([outcome()], STDOUT, model="small")
    print("after")
    sys.stdout.flush()
    first, *report_lines, last = capfd.readouterr().out.splitlines()
    assert (first, last) == ("before", "after")
    assert rows("\n".join(report_lines))[0]["genre"] == "Jazz"


def test_closed_output_is_a_report_error(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)  # what Python makes of >&-
    with pytest.raises(ReportError, match="closed"):
        write_csv([outcome()], STDOUT, model="small")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_a_report_error():
    with pytest.raises(ReportError, match=r"(?i)no space"):
        write_csv([outcome()], Path("/dev/full"), model="small")


@pytest.mark.parametrize("char", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
@pytest.mark.parametrize("text", ["{}1", " {}1", "'{}1", "Rock;{}1", "Rock; {}1", "two\n{}1"])
def test_no_separator_turns_a_part_of_a_cell_into_a_formula(text, char):
    """Where semicolons separate, quotes are ignored, and what follows a semicolon is a cell."""
    cell = csv_text(text.format(char))
    assert not [part for part in re.split("[;\n]", cell) if part.lstrip(" ").startswith(char)]
    assert plain_text(cell) == text.format(char)


@pytest.mark.parametrize("char", "\xad\u200b\u2060\u2063\u206a\ufeff\ufff9")
def test_what_cannot_be_seen_is_shown(char):
    assert printable(f"Ro{char}ck") == rf"Ro\u{ord(char):04x}ck"


def test_what_is_printed_has_its_backslashes_once():
    assert printable(repr("\x1b[2J")) == r"'\x1b[2J'"


def test_only_a_text_that_is_too_long_is_cut_and_both_its_ends_are_kept():
    assert printable("x" * LONGEST) == "x" * LONGEST
    cut = printable("a" + "x" * 1_000_000 + "z")
    assert (cut[0], cut[-1], cut.count("…")) == ("a", "z", 1)
    assert len(cut) <= LONGEST + 1
    assert printable("abcdefgh", 4) == "ab…gh"
    assert csv_text("x" * 1_000_000) == "x" * 1_000_000


@pytest.mark.parametrize(
    "text",
    [
        "می\u200cروم",
        "מוזיקה",
        "\U0001f469\u200d\U0001f680",
        "\U0001f3f3\ufe0f\u200d\U0001f308",
        "R\u0301\u0316\u0301",
        "কীর্তন",
        "\uff32\uff2f\uff23\uff2b",
    ],
)
def test_names_of_any_script_are_shown_as_they_are(text):
    assert csv_text(text) == printable(text) == text
