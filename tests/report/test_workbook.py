from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from datetime import date
from pathlib import Path
from time import process_time

import openpyxl
import pytest
from helpers.containers import sound
from hypothesis import given
from hypothesis import strategies as st

from tagger.errors import ReportError
from tagger.report import workbook, workbook_reader
from tagger.report.escape import plain_text
from tagger.report.target import COLUMNS
from tagger.report.workbook import check_rows, check_workbook, in_workbook
from tagger.report.workbook_reader import read_workbook
from tagger.types import Action, Outcome, Prediction, Track
from tagger.writing.edits import read_edits

NAMES = (
    "plain.mp3", "=1+1.mp3", "'=1.mp3", "_x0041_.mp3", "two\nlines.mp3", "a\rreturn.mp3",
    "\x1b[31m.mp3", "\udce4 latin.mp3", "\ufffe\uffff.mp3", " spaces ", "Björk 音楽 🎵.mp3", "1983",
    "#N/A",
)  # fmt: skip
NEEDED = (("path",), ("genre",))


def outcome(name: str = "a.mp3", genre: str = "Jazz", **changes) -> Outcome:
    path = Path("/music") / name
    prediction = Prediction(Track(path, 1, 1), ("jazz", "rock"), (0.75, 0.25), 0.875, 8, 183.456)
    given = {"action": Action.KEPT, "prediction": prediction, "ranked": ((genre, 0.75),)}
    return Outcome(path, **{**given, **changes})


def written(folder: Path, *outcomes: Outcome, **more) -> Path:
    target = folder / "genres.xlsx"
    passed = list(in_workbook(outcomes, target, model="small", **more))
    assert passed == list(outcomes)
    return target


def book(path: Path, *rows: list[object]) -> Path:
    """A workbook with these cells, as a person may have made it."""
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    made.save(path)
    return path


# --- what is written ------------------------------------------------------------------------------


def test_the_cells_are_those_of_the_csv(tmp_path):
    done = outcome(existing=("Polka", "Ska"), reason="because")
    sheet = openpyxl.load_workbook(written(tmp_path, done, labels=("jazz", "rock"))).active
    header, row = ([cell.value for cell in cells] for cells in sheet.rows)
    assert header == [*COLUMNS, "jazz", "rock"]
    assert dict(zip(header, row, strict=True)) == {
        "path": "/music/a.mp3", "genre": "Jazz", "confidence": 0.75, "agreement": 0.875,
        "second": None, "second_confidence": None, "third": None, "third_confidence": None,
        "windows": 8, "seconds": 183.46, "existing_genre": "Polka; Ska", "action": "kept",
        "reason": "because", "model": "small", "new_genre": "Polka; Ska", "heard": "Jazz",
        "jazz": 0.75, "rock": 0.25,
    }  # fmt: skip


def test_only_the_genre_can_be_edited(tmp_path):
    sheet = openpyxl.load_workbook(written(tmp_path, outcome(), outcome("b.mp3"))).active
    assert sheet.protection.sheet and not sheet.protection.password
    unlocked = {cell.coordinate for row in sheet.rows for cell in row if not cell.protection.locked}
    assert unlocked == {"B2", "B3"}
    assert {sheet[at].number_format for at in unlocked} == {"@"}  # 1983 stays a text


def test_the_header_stays_in_view_and_has_a_filter(tmp_path):
    sheet = openpyxl.load_workbook(written(tmp_path, outcome(), outcome("b.mp3"))).active
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("A2", "A1:P3")
    assert not sheet.protection.autoFilter  # which names what is refused
    assert sheet.column_dimensions["A"].width > sheet.column_dimensions["C"].width


@pytest.mark.parametrize("name", NAMES)
def test_odd_text_is_text_and_comes_back(name, tmp_path):
    path = written(tmp_path, outcome(name, genre=name, existing=(name,)), labels=(name,))
    cells = next(openpyxl.load_workbook(path).active.iter_rows(min_row=2))
    assert {cell.data_type for cell in cells[:2]} == {"s"}
    (row,) = read_workbook(path, NEEDED)
    for column in ("genre", "existing_genre", "heard"):
        assert plain_text(row.cells[column]) == name
    (edit,) = read_edits(path)
    assert (edit.path, edit.edited) == (Path("/music") / name, False)


@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_any_text_comes_back(tmp_path_factory, text):
    path = written(tmp_path_factory.mktemp("text"), outcome(genre=text))
    (row,) = read_workbook(path, NEEDED)
    assert plain_text(row.cells.get("genre", "")) == text


def test_excel_finds_no_escape_of_its_own(tmp_path):
    path = written(tmp_path, outcome("_x0041_ _x_ _X0041_.mp3"))
    with zipfile.ZipFile(path) as archive:
        assert not re.search(rb"_x[0-9A-F]{4}_", archive.read("xl/worksheets/sheet1.xml"))


def test_rows_are_passed_on_as_they_are_written(tmp_path):
    """Memory does not grow with the tracks."""
    taken = []

    def outcomes():
        for number in range(100):
            taken.append(number)
            yield outcome(f"{number}.mp3")

    rows = in_workbook(outcomes(), tmp_path / "genres.xlsx", model="small")
    next(rows)
    assert taken == [0]
    rows.close()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_middle_leaves_an_older_workbook(tmp_path):
    target = written(tmp_path, outcome())
    before = target.read_bytes()

    def outcomes():
        yield outcome()
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        list(in_workbook(outcomes(), target, model="small"))
    assert target.read_bytes() == before and list(tmp_path.iterdir()) == [target]


# --- where it goes --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["genres.csv", "genres", "song.flac", "none/genres.xlsx"])
def test_a_target_that_will_not_do_is_refused_first(name, tmp_path):
    with pytest.raises(ReportError, match="--xlsx"):
        check_workbook(tmp_path / name)


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "genres.xlsx").mkdir()
    with pytest.raises(ReportError, match="--xlsx"):
        check_workbook(tmp_path / "genres.xlsx")


def test_a_missing_package_is_named_before_any_work(tmp_path, monkeypatch):
    path = written(tmp_path, outcome())
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    for module in (workbook, workbook_reader):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    for attempt in (lambda: check_workbook(path), lambda: list(read_workbook(path, NEEDED))):
        with pytest.raises(ReportError, match=r"pip install 'tag-genres\[xlsx\]'"):
            attempt()


def test_more_tracks_than_a_worksheet_holds_are_refused():
    check_rows(Path("genres.xlsx"), 1_048_575)
    with pytest.raises(ReportError, match=r"1,048,575 tracks, not 1,048,576; use --csv"):
        check_rows(Path("genres.xlsx"), 1_048_576)


def test_an_older_workbook_is_replaced(tmp_path):
    written(tmp_path, outcome(reason="older"), labels=("jazz", "rock"))
    written(tmp_path, outcome(), labels=("jazz", "rock"))
    assert [path.name for path in tmp_path.iterdir()] == ["genres.xlsx"]


def test_an_edited_workbook_is_kept(tmp_path):
    path, messages = written(tmp_path, outcome()), []
    edited = openpyxl.load_workbook(path)
    edited.active["B2"] = "Polka"
    edited.save(path)
    list(in_workbook([outcome()], path, messages.append, model="small"))
    (kept,) = tmp_path.glob("genres.kept-*.xlsx")
    assert kept.name in messages[0]
    assert [edit.genres for edit in read_edits(kept)] == [("Polka",)]


def test_a_workbook_of_other_tracks_is_kept(tmp_path):
    written(tmp_path, outcome("a.mp3"))
    written(tmp_path, outcome("b.mp3"))
    (edit,) = read_edits(tmp_path / "genres.previous.xlsx")
    assert edit.path == Path("/music/a.mp3")


# --- what a person saved --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "genres"),
    [
        ("Rock; Música", ("Rock", "Música")), (1983, ("1983",)), (80.0, ("80",)), (0.5, ("0.5",)),
        (True, ("TRUE",)), (None, ()), ("Рок", ("Рок",)),
    ],
)  # fmt: skip
def test_a_cell_is_what_the_spreadsheet_shows(cell, genres, tmp_path):
    path = book(tmp_path / "e.xlsx", ["path", "genre"], ["/a.mp3", cell])
    (edit,) = read_edits(path)
    assert (edit.genres, edit.edited, edit.problem) == (genres, bool(genres), "")


@pytest.mark.parametrize("cell", [date(2024, 2, 1), "#N/A", "#REF!"])
def test_a_date_or_an_error_is_no_genre(cell, tmp_path):
    path = book(tmp_path / "e.xlsx", ["path", "genre"], ["/a.mp3", cell])
    (edit,) = read_edits(path)
    assert "a date or an error" in edit.problem


def test_the_sheet_with_the_columns_is_read_wherever_it_is(tmp_path):
    made = openpyxl.Workbook()
    made.active.append(["notes"])
    sheet = made.create_sheet("mine")
    for row in ([], ["x", "Genre", "PATH"], [None, "Pop", "/a.mp3"], [], ["y", "Ska", "/b.mp3"]):
        sheet.append(row)
    made.save(tmp_path / "e.xlsx")
    edits = read_edits(tmp_path / "e.xlsx")
    assert [(edit.row, edit.genres) for edit in edits] == [(3, ("Pop",)), (5, ("Ska",))]


def test_utf_8_that_was_opened_as_something_else_is_repaired(tmp_path):
    (tmp_path / "Björk.flac").write_bytes(sound("flac"))
    shown = str(tmp_path / "Björk.flac").encode().decode("cp1252")
    path = book(tmp_path / "e.xlsx", ["path", "genre", "heard"], [shown, "Música", "Jazz"])
    (edit,) = read_edits(path)
    assert (edit.path, edit.genres) == (tmp_path / "Björk.flac", ("Música",))


@pytest.mark.skipif(shutil.which("soffice") is None, reason="needs LibreOffice")
@pytest.mark.parametrize("suffix", ["xlsx", "csv"])
def test_libreoffice_saves_what_can_be_applied(suffix, tmp_path):
    names = [name for name in NAMES if "\n" not in name]
    path = written(tmp_path, *map(outcome, names))
    edited = openpyxl.load_workbook(path)
    edited.active["B3"] = "Música; Рок"
    edited.save(path)
    form = {
        "xlsx": "xlsx:Calc MS Excel 2007 XML",
        "csv": "csv:Text - txt - csv (StarCalc):59,34,76",
    }
    home = f"-env:UserInstallation=file://{tmp_path}/home"
    subprocess.run(
        ["soffice", home, "--headless", "--convert-to", form[suffix], "--outdir", "saved", path],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=55,
    )
    edits = read_edits(tmp_path / "saved" / f"genres.{suffix}")
    assert [edit.path for edit in edits] == [Path("/music") / name for name in names]
    assert [edit.genres for edit in edits if edit.edited] == [("Música", "Рок")]
    assert not any(edit.problem for edit in edits)


# --- what is not a workbook -----------------------------------------------------------------------


def archive(path: Path, **parts: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in parts.items():
            file.writestr(name.replace("__", "/").replace("_xml", ".xml"), data)
    return path


def replaced(path: Path, name: str, change) -> Path:
    """The workbook with another content of one of its parts."""
    with zipfile.ZipFile(path) as file:
        parts = {part: file.read(part) for part in file.namelist()}
    parts[name] = change(parts[name])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for part, data in parts.items():
            file.writestr(part, data)
    return path


SHEET = "xl/worksheets/sheet1.xml"
BOMB = b"""<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">%s]><worksheet>&a9;</worksheet>""" % b"".join(
    b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 10)
)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda p: archive(p, xl__workbook_xml=b""), id="empty parts"),
        pytest.param(lambda p: archive(p, mimetype=b"application/vnd.oasis"), id="ods"),
        pytest.param(lambda p: archive(p, xl__workbook_xml=bytes(1 << 27)), id="bomb"),
        pytest.param(
            lambda p: replaced(book(p, ["path", "genre"]), SHEET, lambda data: BOMB), id="entities"
        ),
        pytest.param(
            lambda p: replaced(book(p, ["path", "genre"]), SHEET, lambda data: data[:200]), id="cut"
        ),
        pytest.param(lambda p: p.write_bytes(b"PK\x03\x04" + bytes(99)) and p, id="damaged"),
        pytest.param(lambda p: p.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1")) and p, id="xls"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(make, tmp_path):
    path = make(tmp_path / "e.xlsx")
    with pytest.raises(ReportError) as caught:
        read_edits(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "CSV" in message and "\n" not in message


def test_a_missing_column_is_named(tmp_path):
    path = book(tmp_path / "e.xlsx", ["path", "artist"], ["/a.mp3", "Queen"])
    with pytest.raises(ReportError, match=r"has no column genre; .* names path, artist"):
        read_edits(path)
    with pytest.raises(ReportError, match="has no column path and no column genre"):
        read_edits(book(path))


@pytest.mark.parametrize("row", [b"1048576", b"999999999999"])
def test_a_row_that_is_far_down_does_not_take_long(row, tmp_path):
    path = book(tmp_path / "e.xlsx", ["path", "genre"], ["/a.mp3", "Pop"], ["/b.mp3", "Ska"])
    replaced(path, SHEET, lambda data: data.replace(b'<row r="3"', b'<row r="%s"' % row))
    start = process_time()
    assert [edit.path.name for edit in read_edits(path)][:1] == ["a.mp3"]
    assert process_time() - start < 10
