"""The first readers of a file run in a child process and raise the same errors as here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from helpers import hostile

from tagger.audio import isolated as audio_isolated
from tagger.audio import reader
from tagger.audio.windows import WindowPlan
from tagger.errors import AudioError, TagError, UnsupportedFormat
from tagger.tags import genre_tag, isolated, verify

PLAN = WindowPlan(1_600, 16_000, 2)
FUNCTIONS: dict[str, Callable[[Path], object]] = {
    "read_tag": isolated.read_tag,
    "read_fields": isolated.read_fields,
    "digest_packets": isolated.digest_packets,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "x.flac", [0.1, -0.1] * 8_000, 16_000)
    genre_tag.write_genres(tmp_path / "x.flac", ["Polka"])
    return tmp_path / "x.flac"


def test_they_return_what_the_functions_of_the_same_names_return(path: Path) -> None:
    assert isolated.read_tag(path) == genre_tag.read_tag(path)
    assert isolated.read_fields(path) == genre_tag.read_fields(path)
    assert isolated.digest_packets(path) == verify.digest_packets(path) is not None
    found, wanted = audio_isolated.read_windows(path, PLAN), reader.read_windows(path, PLAN)
    assert (found.windows == wanted.windows).all()


@pytest.mark.parametrize("name", ["read_tag", "read_fields"])
def test_an_error_keeps_its_type_and_its_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.au").write_bytes(b".snd")
    with pytest.raises(UnsupportedFormat) as caught:
        FUNCTIONS[name](tmp_path / "x.au")
    assert caught.value.path == tmp_path / "x.au"


@pytest.mark.parametrize("name", ["read_tag", "read_fields"])
def test_a_tag_that_crashes_its_reader_is_an_error_of_its_file(
    name: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(genre_tag, name, hostile.crash_on)
    with pytest.raises(TagError, match=r"its tag cannot be read: .*SIGSEGV") as caught:
        FUNCTIONS[name](path)
    assert caught.value.path == path
    monkeypatch.undo()
    assert FUNCTIONS[name](path) == getattr(genre_tag, name)(path)


def test_audio_that_hangs_its_reader_is_an_error_of_its_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "digest_packets", hostile.hang_on)
    monkeypatch.setattr(isolated, "SECONDS", 1)
    with pytest.raises(TagError, match="its audio cannot be compared: it took longer than 1"):
        isolated.digest_packets(path)


def test_a_clip_that_crashes_its_decoder_is_an_error_of_its_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "read_windows", hostile.read_windows)
    path.write_bytes(b"!abort")
    with pytest.raises(AudioError, match="SIGABRT"):
        audio_isolated.read_windows(path, PLAN)
