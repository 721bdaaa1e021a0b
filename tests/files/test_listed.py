from __future__ import annotations

import os
from pathlib import Path

import pytest

from tagger.errors import LibraryError
from tagger.files.listed import read_paths


def listed(folder: Path, data: bytes, *, null: bool = False) -> list[str]:
    path = folder / "list.txt"
    path.write_bytes(data)
    return [str(item) for item in read_paths(path, null=null)]


@pytest.mark.parametrize(
    "data",
    [
        b"/m/a.mp3\nb c.mp3\n",
        b"/m/a.mp3\nb c.mp3",
        b"/m/a.mp3\r\nb c.mp3\r\n",
        b"\n\n/m/a.mp3\n\r\n\nb c.mp3\n\n",
        b"\xef\xbb\xbf/m/a.mp3\r\nb c.mp3\r\n",
        "/m/a.mp3\r\nb c.mp3\r\n".encode("utf-16"),
        b"\xfe\xff" + "/m/a.mp3\r\nb c.mp3\r\n".encode("utf-16-be"),
    ],
)
def test_a_list_has_one_path_a_line_however_it_was_saved(tmp_path, data):
    assert listed(tmp_path, data) == ["/m/a.mp3", "b c.mp3"]


def test_with_nul_a_name_may_hold_anything_else(tmp_path):
    assert listed(tmp_path, b"a\nb.mp3\0c\r\0\0d", null=True) == ["a\nb.mp3", "c\r", "d"]


def test_spaces_and_number_signs_belong_to_a_name(tmp_path):
    assert listed(tmp_path, b" a.mp3 \n#b.mp3\n") == [" a.mp3 ", "#b.mp3"]


def test_a_name_that_is_no_text_is_kept(tmp_path):
    assert [os.fsencode(path) for path in listed(tmp_path, b"caf\xe9.mp3\n")] == [b"caf\xe9.mp3"]


@pytest.mark.parametrize("data", [b"a.mp3\n", b"a.mp3\nb.mp3", b"a.mp3\r\nb.mp3\r\n"])
def test_a_list_of_lines_that_was_said_to_have_nul_is_refused(tmp_path, data):
    with pytest.raises(LibraryError, match="leave out -0"):
        listed(tmp_path, data, null=True)


def test_a_list_with_nul_that_was_not_said_to_have_them_is_refused(tmp_path):
    with pytest.raises(LibraryError, match="add -0"):
        listed(tmp_path, b"a.mp3\0b.mp3\0")


@pytest.mark.parametrize("data", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf"])
def test_an_empty_list_is_said_to_be_one(tmp_path, data):
    with pytest.raises(LibraryError, match=r"list\.txt lists no paths"):
        listed(tmp_path, data)


def test_a_list_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(LibraryError, match=r"--from-file .*gone"):
        read_paths(tmp_path / "gone")
