# ruff: noqa: RUF001 (letters of other scripts)
"""Reports as spreadsheets saved them: what a person typed is read as it was typed, or refused."""

from __future__ import annotations

import csv
import io
import os
import sys
import time
from pathlib import Path

import pytest
from helpers.containers import sound
from hypothesis import given
from hypothesis import strategies as st

from tagger.report.table import write_csv
from tagger.tags.genre_tag import write_genres
from tagger.types import Action, Outcome
from tagger.writing.edits import Edit, read_edits

Table = list[list[str]]
# A code page of Excel: a name of a file, and a genre that a person types, in its letters.
PAGES = {
    "cp1252": ("Björk", "Música"),
    "cp1250": ("Łódź", "Hudba pro děti"),
    "cp1251": ("Кино", "Рок"),
    "cp1253": ("Λαϊκά", "Ροκ"),
    "cp1254": ("Şarkı", "Halk Müziği"),
    "cp1255": ("שיר", "רוק"),
    "cp1256": ("فيروز", "موسيقى"),
    "cp1257": ("Šokių", "Klasikinė"),
    "cp874": ("เพลง", "ลูกทุ่ง"),
    "cp932": ("音楽", "ロック"),
    "cp936": ("歌曲", "摇滚"),
    "cp949": ("노래", "록"),
    "cp950": ("歌曲", "搖滾"),
    "mac_roman": ("Björk", "Música"),
    "mac_cyrillic": ("Кино", "Рок"),
    "cp850": ("Björk", "Música"),
    "cp866": ("Кино", "Рок"),
}


def report(folder: Path, *names: str, existing: tuple[str, ...] = ()) -> Table:
    """The cells of a report on these files, which are made."""
    outcomes = []
    for name in names:
        (folder / name).write_bytes(sound("flac"))
        if existing:
            write_genres(folder / name, existing)
        ranked = (("Jazz", 0.5),)
        outcomes.append(Outcome(folder / name, Action.PREDICTED, existing=existing, ranked=ranked))
    write_csv(outcomes, folder / "report.csv", model="small")
    with (folder / "report.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


def text_of(table: Table, separator: str = ";") -> str:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=separator, lineterminator="\r\n").writerows(table)
    return file.getvalue()


def typed(table: Table, *genres: str) -> Table:
    """The table with these genres in its rows."""
    at = table[0].index("genre")
    rows = [
        [*row[:at], genre, *row[at + 1 :]] for row, genre in zip(table[1:], genres, strict=True)
    ]
    return [table[0], *rows]


def saved(folder: Path, data: bytes, encoding: str | None = None) -> list[Edit]:
    (folder / "edited.csv").write_bytes(data)
    return read_edits(folder / "edited.csv", encoding)


def opened_wrongly(table: Table, page: str) -> Table:
    """What a spreadsheet shows that takes UTF-8 for text in its code page."""
    return [[_shown(cell, page) for cell in row] for row in table]


def _shown(cell: str, page: str) -> str:
    # Windows passes on the bytes that a code page does not define.
    return "".join(
        chr(byte[0]) if byte[0] in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else byte.decode(page)
        for byte in (bytes([value]) for value in cell.encode())
    )


def bytes_of(text: str, page: str) -> bytes:
    return b"".join(
        bytes([ord(character)]) if 0x80 <= ord(character) < 0xA0 else character.encode(page)
        for character in text
    )


# --- where an unedited cell tells -----------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_a_path_shows_the_code_page(page, tmp_path):
    name, genre = PAGES[page]
    table = typed(report(tmp_path, f"{name}.flac", "plain.flac"), "Jazz", genre)
    first, second = saved(tmp_path, text_of(table).encode(page))
    assert (first.path, first.edited) == (tmp_path / f"{name}.flac", False)
    assert (second.genres, second.problem) == ((genre,), "")


@pytest.mark.parametrize("page", PAGES)
def test_a_genre_in_the_tag_shows_the_code_page(page, tmp_path):
    name, genre = PAGES[page]
    table = typed(report(tmp_path, "a.flac", existing=(name,)), genre)
    (edit,) = saved(tmp_path, text_of(table).encode(page))
    assert (edit.genres, edit.before, edit.problem) == ((genre,), (name,), "")


@pytest.mark.parametrize("page", PAGES)
def test_a_code_page_that_a_person_names_is_taken(page, tmp_path):
    genre = PAGES[page][1]
    table = typed(report(tmp_path, "a.flac"), genre)
    (edit,) = saved(tmp_path, text_of(table).encode(page), page)
    assert (edit.genres, edit.problem) == ((genre,), "")


@pytest.mark.parametrize("page", PAGES)
def test_without_evidence_a_genre_is_right_or_refused(page, tmp_path):
    genre = PAGES[page][1]
    table = typed(report(tmp_path, "a.flac"), genre)
    (edit,) = saved(tmp_path, text_of(table).encode(page))
    assert edit.genres == (genre,) or "--encoding" in edit.problem
    assert edit.path == tmp_path / "a.flac"


# What people type, in the code pages of Windows, of "CSV (MS-DOS)" and of "CSV (Macintosh)".
TYPED = {
    "cp1252 cp850 cp437 mac_roman": "Música Clásica|Café|Français|Musique légère|Español|Años 80|"
    "São Paulo|Canções|Violões|Für Käthe|Straße|Österreich|Hörspiel|Blåser|Søvn|Þjóðlög|Été|Œuvre",
    "cp1250 cp852 mac_latin2": "Hudba pro děti|Dětské|Písničky|Česká hudba|Žánr|Disko polo|Łódź|"
    "Muzyka poważna|Dzieci śpiewają|Könnyűzene|Őszi|Muzică|Domaća glazba|Ľudová hudba",
    "cp1251 cp866 mac_cyrillic": "Рок|Джаз|Поп|Танго|Классика|Русский рок|Хип-хоп|ВИА|РНБ|Їжак",
    "cp1253 cp737 mac_greek": "Ροκ|Τζαζ|Λαϊκά|Έντεχνο|Ρεμπέτικο|Ελληνική μουσική|ΡΟΚ|ΛΑΪΚΑ",
    "cp1254 cp857 mac_turkish": "Halk Müziği|Türkü|Türkçe Pop|Şarkı|İlahi|Oyun Havası|Rock ağır",
    "cp1257 cp775": "Klasikinė|Mūzika|Šokių muzika|Bērnu dziesmas|Džäss|Rahvamuusika õhtu",
    "cp1255 cp862": "רוק|פופ|קלאסי",
    "cp1256 cp720": "موسيقى|روك|طرب|راي",
    "cp874": "ลูกทุ่ง|ร็อก|หมอลำ",
    "cp932": "ロック|ジャズ|歌謡曲|演歌|アニメ|J-POP・ロック|Jポップ",
    "cp936": "摇滚|爵士|民谣|古典|轻音乐|国语流行",
    "cp949": "록|재즈|발라드|트로트|힙합|클래식",
    "cp950": "搖滾|爵士|民謠|古典|國語流行",
}


@pytest.mark.parametrize(
    ("page", "genres"),
    [(page, genres) for pages, genres in TYPED.items() for page in pages.split()],
)
def test_no_genre_without_evidence_becomes_another(page, genres, tmp_path):
    table = report(tmp_path, "a.flac")
    kept = [g for g in genres.split("|") if g.encode(page, "ignore").decode(page) == g]
    assert len(kept) > 2
    for genre in kept:
        (edit,) = saved(tmp_path, text_of(typed(table, genre)).encode(page))
        assert edit.genres == (genre,) or edit.problem


def test_a_code_page_that_a_person_names_does_not_excuse_lost_letters(tmp_path):
    table = typed(report(tmp_path, "a.flac"), "????")
    (edit,) = saved(tmp_path, text_of(table).encode("cp1252"), "cp1252")
    assert "lost letters" in edit.problem


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("page", PAGES)
def test_unicode_is_read_as_it_is(page, encoding, tmp_path):
    name, genre = PAGES[page]
    table = typed(report(tmp_path, f"{name}.flac", "plain.flac"), genre, genre)
    edits = saved(tmp_path, text_of(table, "\t").encode(encoding))
    assert [(edit.path.name, edit.genres, edit.problem) for edit in edits] == [
        (f"{name}.flac", (genre,), ""),
        ("plain.flac", (genre,), ""),
    ]


# --- UTF-8 that was opened as something else ------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "name", "genre"),
    [
        ("cp1252", "Björk", "Música"), ("cp1252", "Кино", "Música"), ("cp1252", "音楽", "Música"),
        ("cp1251", "Björk", "Русский рок"), ("mac_roman", "Björk", "Größenwahn"),
    ],
)  # fmt: skip
def test_cells_keep_the_bytes_of_utf_8_where_nobody_edited_them(page, name, genre, tmp_path):
    table = report(tmp_path, f"{name}.flac", existing=("Прочее", "Ünlü"))
    shown = typed(opened_wrongly(table, page), genre)
    (edit,) = saved(tmp_path, bytes_of(text_of(shown), page))
    assert (edit.path, edit.before) == (tmp_path / f"{name}.flac", ("Прочее", "Ünlü"))
    assert edit.genres == (genre,) or (page != "cp1252" and genre in edit.problem)


@pytest.mark.parametrize("page", ["cp1252", "cp1251", "cp1250"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_was_opened_wrongly_and_saved_as_unicode_is_repaired(page, encoding, tmp_path):
    table = report(tmp_path, "Björk.flac", existing=("Prög",))
    shown = typed(opened_wrongly(table, page), "Рок; Música")
    (edit,) = saved(tmp_path, text_of(shown).encode(encoding))
    assert edit.path == tmp_path / "Björk.flac"
    assert (edit.genres, edit.before) == (("Рок", "Música"), ("Prög",))


def test_a_genre_copied_from_a_cell_that_shows_damage_is_repaired(tmp_path):
    table = report(tmp_path, "Björk.flac", existing=("Prög",))
    shown = typed(opened_wrongly(table, "cp1252"), _shown("Prög", "cp1252") + "; Música")
    (edit,) = saved(tmp_path, bytes_of(text_of(shown), "cp1252"))
    assert edit.genres == ("Prög", "Música")


def test_what_dos_and_mac_formats_make_of_it_is_repaired(tmp_path):
    table = report(tmp_path, "Björk.flac")
    shown = typed(opened_wrongly(table, "cp1252"), "Música")
    (edit,) = saved(tmp_path, text_of(shown).encode("cp850"))
    assert (edit.path, edit.genres) == (tmp_path / "Björk.flac", ("Música",))


# --- what stays ambiguous -------------------------------------------------------------------------


def test_a_russian_genre_without_evidence_is_refused_with_its_readings(tmp_path):
    table = typed(report(tmp_path, "a.flac"), "Рок")
    (edit,) = saved(tmp_path, text_of(table).encode("cp1251"))
    assert edit.problem == (
        'its genre may mean "Рок" (cp1251) or "Πξκ" (cp1253); save the report as CSV UTF-8, or '
        "name its code page with --encoding"
    )


def test_a_report_put_together_from_two_code_pages_is_read_by_row(tmp_path):
    names = ("Кино.flac", "Łódź.flac", "a.flac")
    table = typed(report(tmp_path, *names), "Рок", "Hudba pro děti", "Рок")
    pages = ("cp1251", "cp1251", "cp1250", "cp1251")
    lines = text_of(table).splitlines(keepends=True)
    data = b"".join(line.encode(page) for line, page in zip(lines, pages, strict=True))
    first, second, third = saved(tmp_path, data)
    assert (first.path.name, first.genres) == (names[0], ("Рок",))
    assert (second.path.name, second.genres) == (names[1], ("Hudba pro děti",))
    assert third.genres == ("Рок",) or third.problem


LETTERS = st.text(st.sampled_from("aeistrnАВИКНОРСаеклорстÄÖÜäöüßéñçŁłżśčřěΑΒΓαικροςあカ音楽록"))


@given(genre=LETTERS.filter(str.strip), page=st.sampled_from([*PAGES]))
def test_no_genre_becomes_another(tmp_path_factory, genre, page):
    """With a path that shows the code page, what is read is what was typed."""
    folder = tmp_path_factory.mktemp("any")
    try:
        genre.encode(page)
    except UnicodeEncodeError:
        return
    table = typed(report(folder, f"{PAGES[page][0]}.flac"), genre)
    (edit,) = saved(folder, text_of(table).encode(page))
    assert edit.path.name == f"{PAGES[page][0]}.flac"
    assert edit.problem or edit.genres == (genre,)


# --- letters that the code page lacks -------------------------------------------------------------


def lossy(text: str, page: str) -> bytes:
    """As Windows does it: "?" for each unit of UTF-16."""
    text = "".join("??" if ord(character) > 0xFFFF else character for character in text)
    return text.encode(page, "replace")


@pytest.mark.parametrize("page", ["cp1252", "cp1251", "cp932"])
@pytest.mark.parametrize("name", ["Мумий Тролль – 01", "音楽 é 02", "🎵 03", "שיר 04"])
def test_the_one_file_that_a_lossy_path_fits_is_found(name, page, tmp_path):
    names = (f"{name}.flac", f"{name[:-2]}99.flac")
    table = typed(report(tmp_path, *names), "Polka", "Jazz")
    first, second = saved(tmp_path, lossy(text_of(table), page))
    assert [edit.path.name for edit in (first, second)] == [*names]
    assert (first.genres, first.problem) == (("Polka",), "")


def test_letters_that_windows_replaced_by_similar_ones_are_found(tmp_path):
    name = "Đorđe Balašević é.flac"
    table = typed(report(tmp_path, name), "Polka")
    text = text_of(table).replace(name, "Ðorde Balaševic é.flac")
    (edit,) = saved(tmp_path, text.encode("cp1252"))
    assert (edit.path.name, edit.problem) == (name, "")


def test_a_lossy_folder_is_found_too(tmp_path):
    (tmp_path / "Кино").mkdir()
    table = typed(report(tmp_path, "Кино/Группа крови.flac"), "Polka")
    (edit,) = saved(tmp_path, lossy(text_of(table), "cp1252"))
    assert edit.path == tmp_path / "Кино" / "Группа крови.flac"


def test_a_lossy_path_that_fits_two_files_is_refused(tmp_path):
    table = typed(report(tmp_path, "Кино.flac", "Рок.flac", "Джаз.flac"), "Polka", "Ska", "Jazz")
    first, second, third = saved(tmp_path, lossy(text_of(table), "cp1252"))
    assert all("path may mean" in edit.problem for edit in (first, third))
    assert (second.path.name, second.problem) == ("Рок.flac", "")


def test_a_lossy_path_without_a_file_stays_missing(tmp_path):
    table = typed(report(tmp_path, "Кино.flac"), "Polka")
    (tmp_path / "Кино.flac").unlink()
    (edit,) = saved(tmp_path, lossy(text_of(table), "cp1252"))
    assert "lost letters" in edit.problem


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes there")
def test_names_that_are_no_text_do_not_stop_the_search(tmp_path):
    table = typed(report(tmp_path, "Кино.flac", "lat\udce4in.flac"), "Polka", "Jazz")
    first, second = saved(tmp_path, lossy(text_of(table), "cp1252"))
    assert [edit.path.name for edit in (first, second)] == ["Кино.flac", "lat\udce4in.flac"]


def test_bytes_that_a_program_replaced_are_lost_letters(tmp_path):
    table = typed(report(tmp_path, "Björk 🎵.flac", "Bjark 🎵.flac"), "Polka", "Jazz")
    text = text_of(table).encode().decode("ascii", "replace")
    first, second = saved(tmp_path, text.encode())
    assert [edit.path.name for edit in (first, second)] == ["Björk 🎵.flac", "Bjark 🎵.flac"]
    assert not (first.problem or second.problem)


@pytest.mark.skipif(os.name == "nt", reason="no such name there")
def test_a_question_mark_in_a_name_is_itself(tmp_path):
    table = typed(report(tmp_path, "Why?.flac", "Whyя.flac"), "Polka", "Jazz")
    edits = saved(tmp_path, text_of(table).encode())
    assert [edit.path.name for edit in edits] == ["Why?.flac", "Whyя.flac"]


@pytest.mark.parametrize("genre", ["???", "M?sica", "Polka; ????"])
def test_a_genre_whose_letters_are_lost_is_refused(genre, tmp_path):
    table = typed(report(tmp_path, "a.flac"), genre)
    (edit,) = saved(tmp_path, text_of(table).encode())
    assert "lost letters" in edit.problem
    (edit,) = saved(tmp_path, text_of(table).encode(), "utf-8")
    assert not edit.problem


def test_double_byte_code_pages_may_lose_bytes_of_a_path(tmp_path):
    """UTF-8 that was opened as cp932: a pair that it lacks becomes a middle dot."""
    name = "Sigur Rós – Ágætis 01.flac"
    table = typed(report(tmp_path, name, name.replace("01", "02")), "Polka", "Jazz")
    data = text_of(table).encode()
    lost = data.replace("–".encode(), "・".encode("cp932"))
    first, second = saved(tmp_path, lost.replace(b"Polka", "ロック".encode("cp932")))
    assert (first.path.name, second.path.name) == (name, name.replace("01", "02"))
    assert first.genres == ("ロック",) or first.problem


# --- speed ----------------------------------------------------------------------------------------


def test_rows_of_files_that_are_gone_do_not_take_long(tmp_path):
    """None of them shows the code page, so each is tried in all."""
    (tmp_path / "я").mkdir()
    table = report(tmp_path, *(f"я/ш{number}.flac" for number in range(50)))
    row = dict(zip(table[0], table[1], strict=True))
    for path in (tmp_path / "я").iterdir():
        path.rename(path.with_name(f"Б{path.name}"))
    paths = [f"{tmp_path}/я/щ{number}.flac" for number in range(1500)]
    rows = [[*{**row, "path": path}.values()] for path in paths]
    start = time.process_time()
    edits = saved(tmp_path, text_of([table[0], *rows]).encode("cp1251"))
    assert time.process_time() - start < 15
    assert [edit.genres for edit in edits] == [("Jazz",)] * 1500
