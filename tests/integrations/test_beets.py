"""The plugin in a real `beet`, with a config, a library and music of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.command import LIBRARY, ROOT, environment
from helpers.programs import genres_by
from helpers.tagged import tag_with_mutagen

from tagger.app.doctor import BEETS_PLUGIN
from tagger.integrations.beets.settings import read_settings

OURS = {"min-confidence": 0}  # so that every track gets a genre
GENRES = ["Country", "Jazz", "Reggae"]  # of the tracks that have one:
OTHERS = ("Back Road", "Late Set", "Harbour Sun")

Beet = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state file that the tests share: they all predict the same music."""
    return tmp_path_factory.mktemp("state") / "state.sqlite3"


@pytest.fixture
def beet(tmp_path: Path, state: Path) -> Beet:
    """Run `beet` in a folder with a config; `options` are those of our section."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "library").mkdir()
    shutil.copytree(LIBRARY, tmp_path / "music")

    def beet(
        *words: str, options: dict[str, Any] = OURS, **importing: bool
    ) -> subprocess.CompletedProcess[str]:
        config = {
            "directory": str(tmp_path / "library"),
            "library": str(home / "library.db"),
            "pluginpath": str(BEETS_PLUGIN),
            "plugins": "tag-genres",
            "import": {"autotag": False, "quiet": True, "copy": False, **importing},
            "ui": {"color": False},
            "tag-genres": {"state": str(state), **options},
        }
        (home / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        return subprocess.run(
            [sys.executable, "-m", "beets", *words],
            cwd=tmp_path,
            env={**environment(home), "BEETSDIR": str(home)},
            capture_output=True,
            text=True,
            timeout=300,
        )

    beet("import", str(tmp_path / "music"))
    return beet


def known(beet: Beet, *query: str) -> dict[str, str]:
    """Genres by title, as beets knows them."""
    lines = beet("ls", "-f", "$title: $genres", *query).stdout.splitlines()
    return dict(line.split(": ", 1) for line in lines)


def stored(folder: Path) -> dict[str, list[str]]:
    """Genres by title, as mutagen reads them from the files."""
    paths = [path for path in folder.rglob("[0-9]*") if path.suffix != ".aac"]
    return {path.stem.partition(" ")[2]: genres_by("mutagen", path) for path in paths}


@pytest.mark.timeout(300)
def test_items_get_their_genres_in_the_database_and_in_their_files(beet, tmp_path):
    before = known(beet)
    assert sorted(filter(None, before.values())) == GENRES
    shown = beet("tag-genres", "--pretend")
    assert "would change 6 · kept 3" in shown.stderr
    assert "Porch Shuffle\n  genres:\n" in shown.stdout
    assert known(beet) == before
    assert stored(tmp_path / "music") == {
        title: list(filter(None, [genre])) for title, genre in before.items()
    }
    done = beet("tag-genres")
    assert (done.returncode, done.stdout) == (0, shown.stdout)
    assert "changed 6 · kept 3" in done.stderr
    after = known(beet)
    assert all(after.values()) and {t: g for t, g in after.items() if before[t]} == {
        t: g for t, g in before.items() if g
    }
    assert stored(tmp_path / "music") == {title: [genre] for title, genre in after.items()}
    # Beets has written all of its fields: another size and time, but nothing is predicted again.
    again = beet("tag-genres", "--on-existing", "replace")
    assert "9 known from earlier runs" in again.stderr
    assert beet("update").stdout == ""


@pytest.mark.timeout(300)
def test_the_policy_is_that_of_the_config(beet, tmp_path):
    (tmp_path / "home" / "allowed.txt").write_text("Country\nHip-Hop\nPop\nMusic\n")
    options = {
        **OURS,
        "on-existing": "append",
        "aliases": {"Music": ["/.*/"]},
        "whitelist": "allowed.txt",
        "protect": ["Reggae"],
        "skip": [".wav"],
    }
    beet("tag-genres", options=options)
    after = known(beet)
    assert after["Harbour Sun"] == "Reggae" and after["Late Set"] == "Jazz"
    assert after["Back Road"] == "Country"  # a person's spelling of the alias
    assert {after[title] for title in after if title not in OTHERS} == {"Music"}
    beet("tag-genres", "--on-existing", "replace", "--top", "2", "--ratio", "0", "title:Porch")
    (genres,) = known(beet, "title:Porch").values()
    assert len(genres.split("; ")) == 2
    assert stored(tmp_path / "music")["Porch Shuffle"] == genres.split("; ")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"on_existing": "keep"}, "write on-existing, not on_existing"),
        ({"min-confidense": 0.5}, "no option min-confidense; did you mean min-confidence?"),
        ({"top": "many"}, "'many' is not a valid integer"),
        ({"only-missing": "perhaps"}, "only-missing must be true or false"),
        ({"write-tags": True}, "write-tags cannot be set in a config file"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_changed(beet, options, why):
    before = known(beet)
    done = beet("tag-genres", options=options)
    assert done.returncode == 1 and why in done.stderr
    assert "Traceback" not in done.stderr
    assert known(beet) == before


@pytest.mark.timeout(300)
@pytest.mark.parametrize("threaded", [True, False])
def test_an_import_sets_genres_when_asked(beet, tmp_path, threaded):
    beet("rm", "-f", "")
    beet("import", str(tmp_path / "music"), copy=True)
    assert sorted(filter(None, known(beet).values())) == GENRES  # it was not asked
    beet("rm", "-d", "-f", "")
    asked = {**OURS, "auto": True}
    source = {path.name: path.read_bytes() for path in (tmp_path / "music").iterdir()}
    done = beet("import", str(tmp_path / "music"), options=asked, copy=True, threaded=threaded)
    assert done.returncode == 0, done.stderr
    after = known(beet)
    assert len(after) == 9 and all(after.values())
    beet("write")  # an import without autotagging writes no tags
    written = genres_of(tmp_path / "library", beet)
    assert written == {title: [genre] for title, genre in after.items()}
    assert source == {path.name: path.read_bytes() for path in (tmp_path / "music").iterdir()}


def genres_of(folder: Path, beet: Beet) -> dict[str, list[str]]:
    lines = beet("ls", "-f", "$title: $path").stdout.splitlines()
    paths = {title: Path(path) for title, path in (line.split(": ", 1) for line in lines)}
    assert all(path.is_relative_to(folder) for path in paths.values())
    return {title: genres_by("mutagen", path) for title, path in paths.items()}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("options", "why"),
    [({"auto": True, "model": "no-such-model"}, "no-such-model"), ({"auto": "maybe"}, "a bool")],
)
def test_an_import_goes_on_without_genres(beet, tmp_path, options, why):
    beet("rm", "-f", "")
    done = beet("import", str(tmp_path / "music"), options={**OURS, **options})
    assert done.returncode == 0 and why in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(filter(None, known(beet).values())) == GENRES


@pytest.mark.timeout(300)
@pytest.mark.parametrize("title", ["Porch Shuffle", "Back Road"])
def test_a_genre_that_beets_does_not_know_is_not_written_over(beet, tmp_path, title):
    (path,) = (tmp_path / "music").glob(f"* {title}.*")
    tag_with_mutagen(path, title=[title], genre=["Polka"])
    before = path.read_bytes()
    done = beet("tag-genres", "--on-existing", "replace", f"title:{title}")
    assert f"{path} has the genre Polka, which beets does not know; run `beet" in done.stderr
    assert "kept 1" in done.stderr
    assert path.read_bytes() == before
    if title == "Back Road":  # which has a genre in beets
        beet("write")
        done = beet("tag-genres", "--on-existing", "replace", f"title:{title}")
        assert "changed 1" in done.stderr
        return
    later = path.stat().st_mtime + 100
    os.utime(path, (later, later))
    beet("update")
    assert "kept 1" in beet("tag-genres", f"title:{title}").stderr
    assert "changed 1" in beet("tag-genres", "--on-existing", "append", f"title:{title}").stderr
    assert stored(tmp_path / "music")[title][0] == "Polka"


@pytest.mark.timeout(300)
def test_beet_write_before_beet_update_puts_back_the_genres_of_beets(beet, tmp_path):
    """The README warns of it."""
    path = tmp_path / "music" / "01 Porch Shuffle.mp3"
    tag_with_mutagen(path, title=["Porch Shuffle"], genre=["Polka"])
    beet("write")
    assert stored(tmp_path / "music")["Porch Shuffle"] == []


@pytest.mark.timeout(300)
def test_what_cannot_be_read_is_named_and_the_others_are_done(beet, tmp_path):
    (tmp_path / "music" / "01 Porch Shuffle.mp3").unlink()
    done = beet("tag-genres")
    assert "01 Porch Shuffle.mp3: failed: no such file" in done.stderr
    assert "changed 5 · kept 3" in done.stderr
    assert all(genre for title, genre in known(beet).items() if title != "Porch Shuffle")


@pytest.mark.timeout(300)
def test_provenance_tells_our_genres_from_those_of_a_person(beet):
    beet("tag-genres", "--provenance")
    note = json.loads(beet("ls", "-f", "$tag_genres", "title:Porch").stdout)
    assert note["genres"] == [known(beet)["Porch Shuffle"]] and note["model"] == "gtzan-small"
    beet("modify", "-y", "title:Fugue", "genres=Polka")
    options = {**OURS, "on-existing": "replace-own", "aliases": {"Ours": ["/.*/"]}}
    beet("tag-genres", options=options)
    after = known(beet)
    assert after.pop("Quiet Fugue") == "Polka"
    assert sorted(genre for genre in after.values() if genre != "Ours") == GENRES


@pytest.mark.timeout(300)
def test_an_album_follows_its_first_item_unless_it_has_genres_of_its_own(beet, tmp_path):
    def of_album() -> str:
        return beet("ls", "-a", "-f", "$genres", "album:Test Tones").stdout.strip()

    assert of_album() == ""
    beet("tag-genres", "--by", "album", "--on-existing", "replace")
    (genre,) = {genre for title, genre in known(beet, "album:Test Tones").items()}
    assert of_album() == genre != ""
    beet("modify", "-y", "-a", "--noinherit", "album:Test Tones", "genres=Mine")
    assert of_album() == "Mine"
    beet("tag-genres", "--on-existing", "replace", options={**OURS, "aliases": {"X": ["/.*/"]}})
    assert of_album() == "Mine" and set(known(beet).values()) == {"X"}


def test_the_config_in_the_readme_is_taken():
    readme = (ROOT / "tagger/integrations/README.md").read_text("utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", readme, flags=re.DOTALL)
    section = yaml.safe_load(block)["tag-genres"]
    assert section.pop("auto") is False  # which is of the plugin alone
    request = read_settings(section, Path("config.yaml"))
    assert (request.by, request.policy.min_confidence) == ("album", 0.6)


@pytest.mark.timeout(300)
def test_beet_update_gives_an_album_the_genre_of_its_first_track(beet, tmp_path):
    """The README warns of it."""
    path = tmp_path / "music" / "01 Porch Shuffle.mp3"
    tag_with_mutagen(path, title=["Porch Shuffle"], genre=["Polka"])
    later = path.stat().st_mtime + 100
    os.utime(path, (later, later))
    beet("update")
    assert set(known(beet, "album:Test Tones").values()) == {"Polka"}
