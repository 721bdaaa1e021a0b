from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from helpers.folders import put
from hypothesis import given
from hypothesis import strategies as st

from tagger.files import scan as library
from tagger.files.ignore import LeftOut
from tagger.files.media import MEDIA, skipped_line
from tagger.files.scan import LEADS_OUT, SUFFIXES, find_tracks
from tagger.types import Failure, Track

PIPES = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


def names(root: Path, *paths: Path, follow_links: bool = False) -> list[str]:
    """Tracks as they are found, relative to the root; failures make the test fail."""
    found = list(find_tracks(paths or [root], follow_links=follow_links))
    assert [item for item in found if isinstance(item, Failure)] == []
    return [os.path.relpath(item.path, root) for item in found]


def failures(*paths: Path) -> list[tuple[Path, str]]:
    found = [item for item in find_tracks(paths) if isinstance(item, Failure)]
    assert not any(failure.lasting for failure in found)
    return [(failure.path, failure.reason) for failure in found]


def test_tracks_and_folders_come_in_the_order_of_their_names(root):
    put(root, "c.mp3", "a.flac", "b/2.ogg", "b/1.ogg", "b/a/3.ogg", "B.wav")
    assert names(root) == ["B.wav", "a.flac", "b/1.ogg", "b/2.ogg", "b/a/3.ogg", "c.mp3"]


@given(
    st.sets(st.text("ab/", min_size=1, max_size=6), max_size=8), st.randoms(use_true_random=False)
)
def test_the_order_does_not_depend_on_the_file_system(names, shuffle):
    listing = ["x.mp3", "y.mp3", *(name.replace("/", "_") + ".ogg" for name in names)]
    entries = [SimpleNamespace(name=name) for name in listing]
    with pytest.MonkeyPatch.context() as patch:
        shuffled = nullcontext(shuffle.sample(entries, len(entries)))
        patch.setattr(os, "scandir", lambda folder: shuffled)
        found, _ = library._list_folder("/m")
    assert [entry.name for entry in reversed(found)] == sorted(listing)


def test_a_track_knows_its_size_and_time(root):
    put(root, "a.mp3")
    os.utime(root / "a.mp3", ns=(1, 123_456_789))
    assert list(find_tracks([root])) == [Track((root / "a.mp3").resolve(), 5, 123_456_789)]


def test_a_scan_keeps_sixteen_bytes_of_each_file_and_folder(root):
    put(root, *(f"{'long ' * 20}/{number}.mp3" for number in range(20)))
    scan = library._Scan(None)
    assert len(list(scan.visit(str(root)))) == 20
    assert sorted(map(len, scan._seen)) == [16] * 22


def test_a_track_knows_when_its_status_changed(root):
    put(root, "a.mp3")
    assert [item.ctime_ns for item in find_tracks([root])] == [(root / "a.mp3").stat().st_ctime_ns]


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_suffixes_of_music_count_in_any_case(root, suffix):
    put(root, "a" + suffix, "b" + suffix.upper())
    assert names(root) == ["a" + suffix, "b" + suffix.upper()]


def test_other_files_are_left_out(root):
    put(root, "cover.jpg", "list.m3u", "x.cue", "x.log", "mp3", "x.mp3.part", "a.mp3~", "notes.txt")
    assert names(root) == []


def test_other_media_are_counted_by_suffix_where_nothing_leaves_them_out(root):
    put(root, "a.MKV", "b/c.mkv", "d.mid", ".e.mkv", "g.jpg", "h.txt", "sub.mkv/i.mp3")
    put(
        root,
        "no/j.mkv",
        "no/.nomedia",
        "k.avi",
        "@eaDir/l.mkv",
        "m.avi.part",
        "n.vob",
        "o.mkv.part",
    )
    put(root, "o.mkv")  # still downloaded
    left_out = LeftOut()
    found = list(find_tracks([root], left_out=left_out, exclude=["n.*"]))
    assert [item.path.name for item in found] == ["i.mp3"]
    assert left_out.suffixes == {".mkv": 2, ".mid": 1, ".avi": 1}
    line = "left out by suffix: 2 .mkv, 1 .avi, 1 .mid (--suffix .mkv predicts these too)"
    assert skipped_line(left_out.suffixes) == line


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        ({}, ""),
        ({".mid": 1200}, "left out by suffix: 1,200 .mid"),
        (
            {".mid": 9, ".kar": 5, ".avi": 4, ".ts": 3, ".vob": 2, ".mkv": 1},
            "left out by suffix: 9 .mid, 5 .kar, 4 .avi, 3 .ts and 3 others "
            "(--suffix .avi predicts these too)",
        ),
    ],
)
def test_the_line_about_other_media_is_short(counts, line):
    assert skipped_line(Counter(counts)) == line


def test_files_of_more_suffixes_are_found_on_request_and_not_counted(root):
    put(root, "a.mkv", "b.MKV", "c.ts", "d.mp3", "e.xyz")
    (root / "link.mkv").symlink_to("a.mkv")
    left_out = LeftOut()
    found = find_tracks([root], left_out=left_out, suffixes=[".mkv", ".xyz"])
    assert [item.path.name for item in found] == ["a.mkv", "b.MKV", "d.mp3", "e.xyz"]
    assert left_out.suffixes == {".ts": 1}


def test_no_suffix_is_both_listed_and_counted():
    assert not MEDIA & SUFFIXES
    assert {".webm", ".mka", ".mp4", ".mov"} <= SUFFIXES


def test_hidden_files_and_folders_are_left_out(root):
    put(root, ".a.mp3", ".hidden/b.mp3", "._c.mp3", ".mp3", "d.mp3")
    assert names(root) == ["d.mp3"]


@pytest.mark.parametrize("folder", ["@eaDir", "#recycle", "$RECYCLE.BIN", "lost+found"])
def test_folders_that_servers_keep_beside_the_music_are_left_out(root, folder):
    put(root, f"{folder}/a.mp3", f"x/{folder}/b.mp3", "c.mp3")
    assert names(root) == ["c.mp3"]


def test_a_file_that_is_named_is_taken_whatever_it_is_called(root):
    put(root, "notes.txt", ".hidden.mp3", "none")
    paths = [root / "notes.txt", root / ".hidden.mp3", root / "none"]
    assert names(root, *paths) == ["notes.txt", ".hidden.mp3", "none"]


def test_a_hidden_folder_that_is_named_is_searched(root):
    put(root, ".music/a.mp3")
    assert names(root, root / ".music") == [".music/a.mp3"]


def test_what_is_given_twice_counts_once(root):
    put(root, "a.mp3", "b/c.mp3")
    paths = [root / "b", root / "a.mp3", root, root / "b" / ".." / "b", root]
    assert names(root, *paths) == ["b/c.mp3", "a.mp3"]


@pytest.fixture
def any_spelling(root, monkeypatch):
    """Make the system take a path in any case and normalisation, as macOS and Windows do.

    Like theirs, `realpath` answers in the spelling that it was asked in.
    """

    def folded(path: str) -> str:
        return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())

    def stored(path: str | Path) -> str:
        actual = os.fspath(root)
        for part in os.path.relpath(path, root).split(os.sep):
            names = {folded(name): name for name in os.listdir(actual)} if part != "." else {}
            actual = os.path.join(actual, names.get(folded(part), part))
        return actual

    def taking_any(module: ModuleType, *names: str, **others: object) -> SimpleNamespace:
        def any_path(name: str) -> Callable[..., object]:
            return lambda path, *rest: getattr(module, name)(stored(path), *rest)

        return SimpleNamespace(**{**vars(module), **{n: any_path(n) for n in names}, **others})

    path = taking_any(os.path, "lexists", realpath=lambda path, strict: os.path.normpath(path))
    monkeypatch.setattr(library, "os", taking_any(os, "stat", "access", "scandir", path=path))


SPELLINGS = [
    ("Music/Song.mp3", "music/SONG.MP3"),
    (unicodedata.normalize("NFC", "Café/Ü.mp3"), unicodedata.normalize("NFD", "Café/Ü.mp3")),
    (unicodedata.normalize("NFC", "CAFÉ.mp3"), unicodedata.normalize("NFD", "café.mp3")),
]


@pytest.mark.parametrize(("stored", "other"), SPELLINGS)
def test_two_spellings_of_one_file_count_once_by_the_first(root, any_spelling, stored, other):
    put(root, stored)
    assert names(root, root / other, root / stored) == [other]


def test_two_spellings_of_one_folder_count_once(root, any_spelling):
    put(root, "Music/a.mp3", "Music/CD/b.mp3")
    assert names(root, root / "Music", root / "music") == ["Music/CD/b.mp3", "Music/a.mp3"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_files_whose_names_differ_only_in_spelling_are_two_where_the_system_says_so(root, spelling):
    put(root, *spelling)
    if len({(root / name).stat().st_ino for name in spelling}) == 1:
        pytest.skip("this file system takes them for one")
    assert sorted(names(root)) == sorted(spelling)


def test_hard_links_whose_names_differ_only_in_case_are_two(root):
    put(root, "song.mp3")
    if (root / "SONG.mp3").exists():
        pytest.skip("this file system takes them for one")
    os.link(root / "song.mp3", root / "SONG.mp3")
    assert names(root) == ["SONG.mp3", "song.mp3"]


def test_paths_may_be_relative(root, monkeypatch):
    put(root, "a.mp3")
    monkeypatch.chdir(root)
    assert [item.path for item in find_tracks([Path("."), Path("a.mp3")])] == [
        root.resolve() / "a.mp3"
    ]


def test_a_linked_file_counts_once_by_its_real_path(root):
    put(root, "real.mp3")
    (root / "a-link.mp3").symlink_to("real.mp3")
    assert names(root) == ["real.mp3"]


@pytest.fixture
def elsewhere(root, tmp_path):
    """A folder beside the root with a track and other files, to which links in the root lead."""
    put(tmp_path, "other/a.mp3", "other/0001", "other/cover.jpg")
    return tmp_path / "other"


def test_a_link_to_a_file_elsewhere_is_followed_on_request(root, elsewhere):
    (root / "song.mp3").symlink_to(elsewhere / "0001")
    assert failures(root) == [(root / "song.mp3", LEADS_OUT)]
    assert names(root, follow_links=True) == ["../other/0001"]


@pytest.mark.parametrize("name", ["link", "Vol.2", "link.mp3"])
def test_a_link_to_a_folder_elsewhere_is_followed_on_request(root, elsewhere, name):
    (root / name).symlink_to(elsewhere)
    assert failures(root) == [(root / name, LEADS_OUT)]
    assert names(root, follow_links=True) == ["../other/a.mp3"]


def test_two_links_to_a_folder_count_once(root, elsewhere):
    (root / "1").symlink_to(elsewhere)
    (root / "2").symlink_to(elsewhere)
    assert names(root, follow_links=True) == ["../other/a.mp3"]


def test_the_reason_names_the_option():
    assert LEADS_OUT == "a link to a place outside the library (--follow-links follows it)"


@pytest.mark.parametrize("name", ["cover.jpg", ".hidden.mp3", "@eaDir"])
def test_a_link_out_to_other_files_is_ignored(root, elsewhere, name):
    (root / name).symlink_to(elsewhere / "cover.jpg")
    assert names(root) == []


def test_a_link_that_leads_out_through_other_links_is_not_followed(root, elsewhere):
    (root / "x.jpg").symlink_to(elsewhere / "a.mp3")
    (root / "y.mp3").symlink_to("x.jpg")
    assert failures(root) == [(root / "y.mp3", LEADS_OUT)]


def test_a_link_to_a_folder_whose_name_starts_like_the_root_leads_out(root, tmp_path):
    put(tmp_path, "music2/a.mp3")
    (root / "link").symlink_to(tmp_path / "music2")
    assert failures(root) == [(root / "link", LEADS_OUT)]


def test_a_link_to_a_folder_that_holds_the_root_leads_out_and_ends(root, tmp_path):
    (root / "up").symlink_to(tmp_path)
    assert failures(root) == [(root / "up", LEADS_OUT)]


def test_a_link_from_one_given_path_to_another_is_followed(root, elsewhere):
    (root / "song.mp3").symlink_to(elsewhere / "0001")
    (root / "folder").symlink_to(elsewhere)
    assert names(root, root, elsewhere) == ["../other/a.mp3", "../other/0001"]


def test_a_link_to_a_given_file_is_followed(root, elsewhere):
    (root / "song.mp3").symlink_to(elsewhere / "0001")
    assert names(root, root, elsewhere / "0001") == ["../other/0001"]


def test_a_link_within_a_root_that_is_reached_by_a_link_is_followed(root, tmp_path):
    put(root, "real/0001")
    (root / "song.mp3").symlink_to("real/0001")
    (tmp_path / "way").symlink_to(root)
    assert names(root, tmp_path / "way") == ["real/0001"]


def test_a_file_that_is_given_may_be_a_link_to_anywhere(root, elsewhere):
    (root / "song.mp3").symlink_to(elsewhere / "0001")
    assert names(root, root / "song.mp3") == ["../other/0001"]


def test_a_root_may_itself_be_a_link(root, tmp_path):
    put(root, "a.mp3")
    (tmp_path / "link").symlink_to(root)
    assert names(root, tmp_path / "link") == ["a.mp3"]


def test_two_folders_that_link_to_each_other_end(root):
    put(root, "x/a.mp3", "y/b.mp3")
    (root / "x" / "to-y").symlink_to(root / "y")
    (root / "y" / "to-x").symlink_to(root / "x")
    found = list(find_tracks([root]))
    assert sorted(item.path.name for item in found if isinstance(item, Track)) == ["a.mp3", "b.mp3"]


def test_a_broken_link_is_a_failure_with_the_path_of_the_link(root):
    (root / "gone.mp3").symlink_to("nowhere.mp3")
    assert failures(root) == [(root / "gone.mp3", "a broken link")]


def test_a_broken_link_without_a_music_suffix_is_ignored(root):
    (root / "cover.jpg").symlink_to("nowhere.jpg")
    assert names(root) == []


@pytest.mark.parametrize("name", ["loop", "loop.mp3", "loop.d"])
def test_a_link_to_itself_is_a_failure(root, name):
    (root / name).symlink_to(name)
    assert failures(root) == [(root / name, "a link that leads back to itself")]


def test_a_link_to_a_folder_that_holds_it_is_a_failure_and_ends(root):
    put(root, "b/a.mp3")
    (root / "b" / "up").symlink_to(root)
    assert failures(root) == [(root / "b" / "up", "a link to a folder that contains it")]
    assert [item.path.name for item in find_tracks([root]) if isinstance(item, Track)] == ["a.mp3"]


def test_a_path_that_is_not_there_is_a_failure(root):
    assert failures(root / "none") == [(root / "none", "no such file or folder")]


def test_a_folder_may_be_called_like_a_file(root):
    put(root, "album.mp3/a.mp3")
    assert names(root) == ["album.mp3/a.mp3"]


@PIPES
def test_a_pipe_is_a_failure_and_is_not_opened(root):
    os.mkfifo(root / "pipe.mp3")
    assert failures(root) == [(root / "pipe.mp3", "not a regular file")]


@pytest.mark.skipif(sys.platform != "linux", reason="names are text on this system")
def test_names_may_be_any_bytes(root):
    odd = [
        b"\xff.mp3",
        b"new\nline.mp3",
        b"tab\t.mp3",
        b"\xe2\x80\xae.mp3",
        b" .mp3",
        "ü.mp3".encode(),
    ]
    for name in odd:
        Path(os.fsdecode(os.path.join(os.fsencode(root), name))).write_bytes(b"")
    assert sorted(os.fsencode(item.path.name) for item in find_tracks([root])) == sorted(odd)


def test_folders_may_lie_deeper_than_python_recurses(root):
    put(root, "d/" * 200 + "a.mp3")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    try:
        found = list(find_tracks([root]))
    finally:
        sys.setrecursionlimit(limit)
    assert [item.path.name for item in found] == ["a.mp3"]


AS_NOBODY = """
import os, sys
from pathlib import Path
from tagger.files.scan import find_tracks
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for item in find_tracks([Path(sys.argv[1])]):
    print(getattr(item, "reason", "track"), item.path.name, sep="|")
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="permissions work differently here")
def test_what_may_not_be_read_is_a_failure():
    # Not in pytest's folder: no one else may look into that.
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        put(root, "a.mp3", "closed/b.mp3", "open/c.mp3", "secret.mp3")
        (root / "closed").chmod(0)
        (root / "secret.mp3").chmod(0)
        command = [sys.executable, "-c", AS_NOBODY, root]
        run = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
        (root / "closed").chmod(0o700)
    if run.returncode:
        pytest.skip(f"no user without rights can run here: {run.stderr[-200:]}")
    assert run.stdout.splitlines() == [
        "track|a.mp3", "permission denied|closed", "track|c.mp3", "permission denied|secret.mp3",
    ]  # fmt: skip


def test_a_link_through_thousands_of_others_is_a_failure(tmp_path):
    target = tmp_path / "x.mp3"
    target.touch()
    (tmp_path / "links").mkdir()
    for number in range(3_000):
        link = tmp_path / "links" / f"{number}"
        link.symlink_to(target)
        target = link
    (tmp_path / "last.mp3").symlink_to(target)
    (found,) = find_tracks([tmp_path / "last.mp3"])
    assert isinstance(found, Failure) and "link" in found.reason


@PIPES
@pytest.mark.parametrize("no_file", ["pipe", "socket", "device"], indirect=True)
def test_pipes_sockets_and_devices_in_a_library_are_failures(no_file):
    given = [no_file.parent]
    assert [item.reason for item in find_tracks(given, follow_links=True)] == ["not a regular file"]


@PIPES
@pytest.mark.parametrize("no_file", ["device"], indirect=True)
def test_a_link_to_a_device_leads_out(no_file):
    assert [item.reason for item in find_tracks([no_file.parent])] == [LEADS_OUT]


def test_a_scan_resolves_no_path_but_the_given_one_where_there_are_no_links(tmp_path, monkeypatch):
    for album in range(20):
        folder = tmp_path / f"{album}"
        folder.mkdir()
        for track in range(20):
            (folder / f"{track}.mp3").touch()
    asked = []
    resolve = os.path.realpath

    def counted(path: str, *, strict: bool = False) -> str:
        asked.append(path)
        return resolve(path, strict=strict)

    monkeypatch.setattr(os.path, "realpath", counted)
    assert len(list(find_tracks([tmp_path]))) == 400
    assert asked == [str(tmp_path)]


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_many_files_in_one_folder_are_found_in_order(tmp_path, count):
    with tempfile.TemporaryDirectory(dir=tmp_path) as folder:  # pytest would keep them
        for number in range(count):
            os.mknod(f"{folder}/{number:05}.mp3")
        found = [item.path.name for item in find_tracks([Path(folder)])]
    assert found == [f"{number:05}.mp3" for number in range(count)]


@pytest.mark.skipif(os.open not in os.supports_dir_fd, reason="no such paths can be made here")
def test_paths_longer_than_the_system_takes_are_failures_and_the_rest_is_found(tmp_path):
    (tmp_path / "a.mp3").touch()
    name, handle = "Vol." + "9" * 200, os.open(tmp_path, os.O_RDONLY)
    for _ in range(30):
        os.mkdir(name, dir_fd=handle)
        inner = os.open(name, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
        os.close(os.open("b.mp3", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)
    found = list(find_tracks([tmp_path]))
    failures = [item for item in found if isinstance(item, Failure)]
    assert {failure.reason for failure in failures} == {"its path is too long for this system"}
    assert name in {failure.path.name for failure in failures}
    assert len(failures) <= 2
    assert sum(isinstance(item, Track) for item in found) > 15
