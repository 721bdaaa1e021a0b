from __future__ import annotations

import csv
import io
import os
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import ReportError
from tagger.report.table import write_csv
from tagger.types import Action, Outcome
from tagger.writing.edits import Edit, read_edits

Table = list[list[str]]
NAMES = (
    "plain.mp3", 'quoted "name".mp3', "comma, name.mp3", "semi;colon.mp3", "two\nlines.mp3",
    "a\rreturn.mp3", "tab\tstop.mp3", "it's.mp3", "\udcff\udce4 latin.mp3", "\x9bcsi.mp3",
    "\\x1b.mp3", "é.mp3", " spaces ",
)  # fmt: skip
ODD_GENRES = ("=1+1", "'=1", "-1", "'it's", 'R"B', "Folk, World", "two\nlines", "\x1b[31m", "\\x1b")


def report(folder: Path, *outcomes: Outcome) -> Table:
    """The cells of a report as `write_csv` makes it."""
    write_csv(outcomes, folder / "report.csv", model="small")
    with (folder / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def outcome(name: str = "a.mp3", genre: str = "Jazz", **changes) -> Outcome:
    return Outcome(
        Path("/music") / name, **{"action": Action.PREDICTED, "ranked": ((genre, 0.5),), **changes}
    )


def save(table: Table, separator: str = ",", line_end: str = "\n") -> str:
    file = io.StringIO(newline="")
    # Python quotes a cell for the characters of this line end only; the programs quote for both.
    csv.writer(file, delimiter=separator, lineterminator="\r\n").writerows(table)
    return file.getvalue().replace("\r\n", line_end)


SAVINGS: dict[str, Callable[[Table], bytes]] = {
    "LibreOffice": lambda table: save(table).encode(),
    "LibreOffice, all cells quoted": lambda table: b"\n".join(
        b";".join(b'"' + cell.replace('"', '""').encode() + b'"' for cell in row) for row in table
    ),
    "Excel in German": lambda table: save(table, ";", "\r\n").encode("utf-8-sig"),
    "Excel's CSV on Windows": lambda table: save(table, ";", "\r\n").encode("cp1252"),
    "Excel's Unicode text": lambda table: save(table, "\t", "\r\n").encode("utf-16"),
    "UTF-16 of the other order": lambda table: b"\xfe\xff" + save(table, "\t").encode("utf-16-be"),
    "an old Mac": lambda table: save(table, ",", "\r").encode(),
    "a first line for Excel": lambda table: b"sep=;\r\n" + save(table, ";", "\r\n").encode(),
}


def edits(folder: Path, content: str | bytes) -> list[Edit]:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "edited.csv").write_bytes(data)
    return read_edits(folder / "edited.csv")


def one(folder: Path, content: str | bytes) -> Edit:
    (edit,) = edits(folder, content)
    return edit


def refusal(folder: Path, content: str | bytes) -> str:
    with pytest.raises(ReportError) as caught:
        edits(folder, content)
    assert str(folder / "edited.csv") in str(caught.value)
    return str(caught.value)


# --- reports that a person saved ------------------------------------------------------------------


@pytest.mark.parametrize("saving", SAVINGS)
def test_a_changed_cell_is_found_however_the_report_was_saved(saving, tmp_path):
    table = report(tmp_path, *map(outcome, NAMES))
    table[3][table[0].index("genre")] = "Bossa Nova; Müsette"
    found = edits(tmp_path, SAVINGS[saving](table))
    assert [edit.path for edit in found] == [Path("/music") / name for name in NAMES]
    assert [edit.row for edit in found if edit.edited] == [4]
    assert found[2].genres == ("Bossa Nova", "Müsette")


@pytest.mark.parametrize("saving", SAVINGS)
@pytest.mark.parametrize("genre", ODD_GENRES)
def test_an_odd_genre_that_was_left_alone_is_no_edit(genre, saving, tmp_path):
    edit = one(tmp_path, SAVINGS[saving](report(tmp_path, outcome(genre=genre))))
    assert (edit.genres, edit.edited) == ((genre,), False)


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX only")
@given(st.binary(min_size=1, max_size=20).filter(lambda name: not {0, 47} & set(name)))
def test_any_name_of_a_file_comes_back(tmp_path_factory, name):
    folder = tmp_path_factory.mktemp("names")
    path = Path("/music") / f"x{os.fsdecode(name)}"
    assert one(folder, SAVINGS["Excel in German"](report(folder, outcome(path.name)))).path == path


# --- what a row says ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "genres"),
    [
        ("Rock", ("Rock",)), (" Rock ;Pop", ("Rock", "Pop")), ("Rock; rock;;Pop", ("Rock", "Pop")),
        ("", ()), (" ; ", ()), ("'=1", ("=1",)), ("'n Roll", ("'n Roll",)),
    ],
)  # fmt: skip
def test_genres_are_separated_by_semicolons(cell, genres, tmp_path):
    assert one(tmp_path, save([["path", "genre"], ["/a.mp3", cell]])).genres == genres


@pytest.mark.parametrize(
    ("genre", "predicted", "edited"),
    [
        ("Rock", "Rock", False), ("rock", "Rock", True), (" Rock", "Rock", False),
        ("", "Rock", True), ("Rock", "", True), ("", "", False), ("Rock; Pop", "Rock", True),
    ],
)  # fmt: skip
def test_a_row_is_edited_where_its_genres_are_not_the_predicted(genre, predicted, edited, tmp_path):
    table = [["path", "genre", "heard"], ["/a.mp3", genre, predicted]]
    assert one(tmp_path, save(table)).edited is edited


def test_without_a_column_heard_every_genre_is_an_edit(tmp_path):
    assert one(tmp_path, "path,genre\n/a.mp3,Rock\n").edited


def test_a_row_without_its_last_cell_has_nothing_predicted(tmp_path):
    first, second = edits(tmp_path, "path,genre,heard\n/a.mp3,Rock\n/b.mp3\n")
    assert (first.edited, second.edited) == (True, False)


@pytest.mark.parametrize(
    ("action", "before"),
    [(Action.WRITTEN, ("Jazz",)), (Action.WOULD_WRITE, ("Ska", "Dub"))],
)
def test_before_is_what_the_tag_held_after_the_run(action, before, tmp_path):
    done = outcome(action=action, existing=("Ska", "Dub"), genres=("Jazz",))
    assert one(tmp_path, save(report(tmp_path, done))).before == before


@pytest.mark.parametrize("lacking", ["action", "existing_genre"])
def test_before_is_unknown_where_a_column_is_missing(lacking, tmp_path):
    table = report(tmp_path, outcome())
    at = table[0].index(lacking)
    assert one(tmp_path, save([row[:at] + row[at + 1 :] for row in table])).before is None


def test_a_tag_that_held_nothing_is_not_unknown(tmp_path):
    assert one(tmp_path, save(report(tmp_path, outcome()))).before == ()


def test_a_relative_path_starts_at_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert one(tmp_path, "path,genre\nsub/a.mp3,Rock\n").path == tmp_path / "sub" / "a.mp3"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stands_for_its_file(tmp_path):
    (tmp_path / "link.mp3").symlink_to("real.mp3")
    edit = one(tmp_path, f"path,genre\n{tmp_path / 'link.mp3'},Rock\n")
    assert edit.path == tmp_path / "real.mp3"


# --- the table ------------------------------------------------------------------------------------


def test_columns_are_found_by_name_whatever_their_order_and_case(tmp_path):
    content = "note, Heard ,GENRE,Existing Genre,Path,action\nmine,Rock,Pop,Ska,/a.mp3,kept\n"
    assert one(tmp_path, content) == Edit(2, Path("/a.mp3"), ("Pop",), True, ("Ska",))


def test_of_columns_with_one_name_the_first_counts(tmp_path):
    assert one(tmp_path, "path,genre,genre\n/a.mp3,Rock,Pop\n").genres == ("Rock",)


def test_rows_are_counted_as_a_spreadsheet_does(tmp_path):
    content = 'sep=,\npath,genre\n"/two\nlines.mp3",Rock\n\n,Pop\n,,,\n/b.mp3,Jazz\n'
    assert [edit.row for edit in edits(tmp_path, content)] == [2, 6]


def test_a_separator_in_a_name_does_not_decide(tmp_path):
    edit = one(tmp_path, "path;genre;a,b,c\n/Earth, Wind, Fire.mp3;Funk;\n")
    assert (edit.path, edit.genres) == (Path("/Earth, Wind, Fire.mp3"), ("Funk",))


def test_line_breaks_that_only_python_knows_end_no_row(tmp_path):
    edit = one(tmp_path, "path,genre\n/a\u2028\x85\x0b\x1c.mp3,Rock\n")
    assert edit.path == Path("/a\u2028\x85\x0b\x1c.mp3")


def test_a_column_of_a_persons_own_may_hold_long_texts(tmp_path):
    lyrics = "la " * 100_000
    assert one(tmp_path, save([["path", "genre", "lyrics"], ["/a", "Rock", lyrics]])).genres


def test_a_header_alone_holds_no_edits(tmp_path):
    assert edits(tmp_path, "path,genre\n") == []


# --- two rows for one file ------------------------------------------------------------------------


def test_a_second_row_with_the_same_genre_is_dropped(tmp_path):
    edit = one(tmp_path, "path,genre\n/a.mp3,Rock; Pop\n/x/../a.mp3,Rock;Pop\n")
    assert (edit.row, edit.problem) == (2, "")


def test_of_equal_rows_the_edited_one_stays(tmp_path):
    edit = one(tmp_path, "path,genre,heard\n/a.mp3,Rock,Rock\n/a.mp3,Rock,Jazz\n")
    assert (edit.row, edit.edited) == (3, True)


def test_rows_with_different_genres_each_have_a_problem(tmp_path):
    content = "path,genre\n/a.mp3,Rock\n/b.mp3,Pop\n/a.mp3,Jazz\n/a.mp3,Ska\n"
    assert [(edit.row, edit.problem) for edit in edits(tmp_path, content)] == [
        (2, "row 4 gives it another genre"),
        (3, ""),
        (4, "row 2 gives it another genre"),
        (5, "row 2 gives it another genre"),
    ]


# --- what is no report ----------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ReportError, match=r"none\.csv: no such file"):
        read_edits(tmp_path / "none.csv")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ReportError, match="name a CSV"):
        read_edits(tmp_path)


def test_a_workbook_of_another_kind_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "edited.csv", "w") as file:
        file.writestr("[Content_Types].xml", "")
    assert "not an Excel workbook" in refusal(tmp_path, (tmp_path / "edited.csv").read_bytes())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xff\xfb\x90\x00" + bytes(100), id="music"),
        pytest.param(b"\xff\xfepath,genre\n", id="damaged UTF-16"),
    ],
)
def test_a_file_that_is_not_text_is_refused(content, tmp_path):
    assert "save it as CSV in UTF-8" in refusal(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        ("path;artist\n/a;Queen\n", "genre"), ("file,genre\n/a,Rock\n", "path"),
        ("", "path and no column genre"), ("\n\n", "path and no column genre"),
        ("path|genre\n", "path and no column genre"),
    ],
)  # fmt: skip
def test_a_missing_column_is_named(content, missing, tmp_path):
    assert f"no column {missing};" in refusal(tmp_path, content)


@pytest.mark.parametrize("row", ['"/b.mp3,Pop\n/c.mp3,Ska', '"/b" live.mp3,Pop', '/b.mp3,"Pop'])
def test_a_damaged_row_is_named(row, tmp_path):
    assert "row 3 is damaged" in refusal(tmp_path, f"path,genre\n/a.mp3,Rock\n{row}\n")


@pytest.mark.parametrize("path", [r"/a\x00.mp3", r"/a\ud800.mp3"])
def test_a_path_that_no_file_can_have_is_named(path, tmp_path):
    assert "row 2 has a path with characters" in refusal(tmp_path, f"path,genre\n{path},Rock\n")
