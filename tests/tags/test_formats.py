"""Which type and family a file is taken for."""

from __future__ import annotations

import mutagen
import pytest
from helpers import containers
from helpers.tagged import (
    id3_tag,
)

from tagger.errors import TagError, UnsupportedFormat
from tagger.tags.formats import recognise
from tagger.tags.genre_tag import (
    read_genres,
    write_genres,
)


def test_a_file_gets_the_type_that_mutagen_gives_it(sound):
    for suffix in (sound.suffix, *containers.SUFFIX.values(), ".aac", ".mid", ""):
        sound = sound.rename(sound.with_name(f"sound{suffix}"))
        try:
            expected = mutagen.File(sound)
        except mutagen.MutagenError:
            continue  # mutagen chose a type that cannot be loaded, and does not say which
        with sound.open("rb") as file:
            assert recognise(file, sound)[0] in (type(expected), expected)


ADTS = b"\xff\xf1\x50\x80\x02\x1f\xfc" + bytes(9)


@pytest.mark.parametrize("front", [b"", id3_tag(4, bytes(20))])
@pytest.mark.parametrize("suffix", [".aac", ".mp3"])
def test_aac_without_a_container_is_unsupported(tmp_path, front, suffix):
    path = tmp_path / f"sound{suffix}"
    path.write_bytes(front + ADTS * 400)
    with pytest.raises(TagError):
        read_genres(path)
    with pytest.raises(TagError):
        write_genres(path, ["Jazz"])
    assert path.read_bytes() == front + ADTS * 400


@pytest.mark.parametrize("suffix", [".caf", ".au", ".w64", ".ac3", ".txt", ".m4a", ""])
def test_an_unknown_container_is_unsupported(tmp_path, suffix):
    path = tmp_path / f"sound{suffix}"
    path.write_bytes(b"caff" + bytes(500))
    with pytest.raises(TagError) as caught:
        write_genres(path, ["Jazz"])
    assert caught.value.path == path
    assert suffix == ".ac3" or isinstance(caught.value, UnsupportedFormat)
