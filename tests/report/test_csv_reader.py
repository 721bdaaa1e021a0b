"""What both callers of the reader need; `writing/test_edits.py` has files as programs save them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tagger.errors import ReportError
from tagger.report.csv_reader import CsvFormat, Row, read_rows

STRICT, LENIENT = CsvFormat(), CsvFormat(strict=False)
CLIPS = (("path", "file"), ("label", "genre"))


def rows(
    folder: Path, content: str | bytes, needed: object = (("path",),), form: CsvFormat = STRICT
) -> list[Row]:
    data = content if isinstance(content, bytes) else content.encode()
    (folder / "table.csv").write_bytes(data)
    return list(read_rows(folder / "table.csv", needed, form))


def test_a_column_is_found_under_the_first_of_its_names_and_under_its_own(tmp_path):
    (row,) = rows(tmp_path, "Genre;File\nRock;/a\n", CLIPS)
    assert row == Row(2, {"genre": "Rock", "label": "Rock", "file": "/a", "path": "/a"})


def test_the_preferred_name_wins_where_a_table_has_several(tmp_path):
    (row,) = rows(tmp_path, "file,path,genre,label\n/a,/b,Rock,Pop\n", CLIPS)
    assert (row.cells["path"], row.cells["label"]) == ("/b", "Pop")


def test_cells_that_a_row_lacks_are_not_there_and_empty_rows_are_counted(tmp_path):
    found = rows(tmp_path, "\npath,artist\n/a\n\n/b,Queen\n")
    assert found == [
        Row(3, {"path": "/a"}), Row(4, {}), Row(5, {"path": "/b", "artist": "Queen"})
    ]  # fmt: skip


def test_a_misplaced_quote_is_an_error_only_if_asked_for(tmp_path):
    content = 'path,title\n/a,"x" live\n'
    with pytest.raises(ReportError, match="row 2 is damaged"):
        rows(tmp_path, content)
    assert rows(tmp_path, content, form=LENIENT) == [Row(2, {"path": "/a", "title": "x live"})]


def test_bytes_of_another_encoding_are_kept_only_if_asked_for(tmp_path):
    content = "path\n/ä\n".encode("cp1252")
    with pytest.raises(ReportError, match="save it as CSV in UTF-8"):
        rows(tmp_path, content)
    kept = CsvFormat(any_encoding=True)
    assert rows(tmp_path, content, form=kept) == [Row(2, {"path": "/\udce4"})]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_needs_no_mark_if_any_encoding_will_do(encoding, tmp_path):
    content = "path\n/ä音\n".encode(encoding)
    with pytest.raises(ReportError, match="save it as CSV in UTF-8"):
        rows(tmp_path, content)
    assert rows(tmp_path, content, form=CsvFormat(any_encoding=True)) == [Row(2, {"path": "/ä音"})]


def test_an_encoding_that_is_named_counts_unless_there_is_a_mark(tmp_path):
    named = CsvFormat(encoding="cp1251")
    assert rows(tmp_path, "path\n/я\n".encode("cp1251"), form=named) == [Row(2, {"path": "/я"})]
    assert rows(tmp_path, "path\n/я\n".encode("utf-8-sig"), form=named) == [Row(2, {"path": "/я"})]


def test_all_names_of_a_missing_column_are_reported_and_those_that_are_there(tmp_path):
    with pytest.raises(ReportError) as caught:
        rows(tmp_path, "Track;Artist\n/a;Queen\n", CLIPS)
    assert str(caught.value) == (
        f"{tmp_path / 'table.csv'} has no column path or file and no column label or genre; "
        "its first row must name the columns, but names track, artist"
    )
