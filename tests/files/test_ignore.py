"""What a scan leaves out, and that it says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.folders import put
from helpers.properties import examples
from hypothesis import given
from hypothesis import strategies as st

from tagger.files.ignore import (
    SYSTEM_FOLDERS,
    LeftOut,
    PatternError,
    check_pattern,
    compile_patterns,
    is_system_folder,
)
from tagger.files.scan import find_tracks
from tagger.types import Failure


def scan(root: Path, *paths: Path, exclude: tuple[str, ...] = ()) -> tuple[list[str], LeftOut]:
    """Tracks relative to the root, and what was left out."""
    left_out = LeftOut()
    found = list(find_tracks(paths or [root], exclude=exclude, left_out=left_out))
    assert [item for item in found if isinstance(item, Failure)] == []
    return [os.path.relpath(item.path, root) for item in found], left_out


FOREIGN = [
    "@eaDir", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "@__thumb", "$Recycle.Bin",
    "System Volume Information", "RECYCLER", "~snapshot", ".snapshot", ".snapshots", ".zfs",
    ".Trash-1000", ".Trashes", "__MACOSX", "lost+found", ".stversions", "files_trashbin",
    "found.000", "@GMT-2024.01.31-23.59.59", "LOST.DIR", "Network Trash Folder", ".recycle",
]  # fmt: skip


@pytest.mark.parametrize("spelled", [str, str.lower, str.upper, str.title])
@pytest.mark.parametrize("name", FOREIGN)
def test_a_folder_of_the_system_is_left_out_in_any_case_and_counted(root, name, spelled):
    if name == "RECYCLER":
        spelled = str
    put(root, "a.mp3", f"Album/{spelled(name)}/sub/b.mp3")
    tracks, left_out = scan(root)
    assert tracks == ["a.mp3"]
    assert left_out.line == f"left out: system folders 1 ({spelled(name)})"


@pytest.mark.parametrize(
    "name",
    ["Recycler", "Recycled", "Trash", "@peace", "#1 Record", "$uicideboy$", "Snapshot", "~", "GMT"],
)
def test_a_band_or_an_album_is_no_folder_of_the_system(root, name):
    put(root, f"{name}/b.mp3")
    assert scan(root) == ([f"{name}/b.mp3"], LeftOut())


def test_every_name_of_the_list_is_compared_without_case():
    assert all(
        name == name.casefold() and is_system_folder(name.upper()) for name in SYSTEM_FOLDERS
    )


@pytest.mark.parametrize("name", [*FOREIGN, ".hidden"])
def test_a_folder_that_the_user_names_is_scanned(root, name):
    put(root, f"{name}/b.mp3", f"{name}/@eaDir/c.mp3")
    assert scan(root, root / name)[0] == [f"{name}/b.mp3"]
    assert scan(root, root, root / name)[0] == [f"{name}/b.mp3"]


@pytest.mark.parametrize(
    "name",
    [
        "a.sync-conflict-20240131-235959-ABCDEFG.mp3",
        "a (Laptop's conflicted copy 2024-01-31).mp3",
        "a (conflicted copy 2024-01-31 235959).mp3",
        "a (In Konflikt stehende Kopie von Laptop 2024-01-31).mp3",
        "a (Copie en conflit de Laptop 2024-01-31).mp3",
        "a (Case Conflict).mp3",
        "a (Selective Sync Conflict 1).mp3",
        "a (SFConflict me@here 2024-01-31-23-59-59).mp3",
        "a_conflict-20240131-235959.mp3",
        "a_NAS_Jan-31-235959-2024_Conflict.mp3",
        "a.variant-1a2b.mp3",
    ],
)
def test_a_copy_of_a_sync_conflict_is_left_out_unless_it_is_named(root, name):
    put(root, "a.mp3", name)
    tracks, left_out = scan(root)
    assert (tracks, left_out.line) == (["a.mp3"], f"left out: sync conflicts 1 ({name})")
    assert scan(root, root / name)[0] == [name]


@pytest.mark.parametrize(
    "name",
    [
        "Conflict - The Ungovernable Force.mp3",
        "01.artist.conflict.mp3",
        "Song (Conflict).mp3",
        "The Conflict (Live 2024).mp3",
        "Song (Conflict Mix 1999).mp3",
        "Part.mp3",
        "Suite, part.mp3",
        "Goldberg.variation-1.mp3",
        "Incomplete.mp3",
    ],
)
def test_a_title_is_no_sync_conflict_and_no_download(root, name):
    put(root, name)
    assert scan(root) == ([name], LeftOut())


@pytest.mark.parametrize(
    "names",
    [
        ("a.mp3", "a.mp3.part"),
        ("a.mp3", "A.MP3.aria2"),
        ("a.mp3", "a.mp3.crdownload"),
        ("a.part.mp3",),
        ("a.temp.m4a",),
        (f"INCOMPLETE{'0a' * 16}a.mp3",),
    ],
)
def test_an_unfinished_download_is_left_out_unless_it_is_named(root, names):
    put(root, *names, "b.mp3")
    assert scan(root)[0] == ["b.mp3"]
    assert list(scan(root)[1].counts) == ["unfinished downloads"]
    assert scan(root, root / names[0])[0] == [names[0]]


def test_hidden_files_and_folders_are_counted(root):
    put(root, "._a.mp3", "a.mp3", ".38 Special/b.mp3", ".cover.jpg")
    assert scan(root)[0] == ["a.mp3"]
    assert scan(root)[1].line == "left out: hidden 2 (.38 Special, ._a.mp3)"


@pytest.mark.parametrize("content", ["", "\n", "# only a remark\n"])
def test_a_marker_leaves_its_folder_out_with_all_below(root, content):
    put(root, "a.mp3", "B/b.mp3", "B/C/c.mp3", "D/d.mp3")
    (root / "B" / ".nomedia").touch()
    (root / "D" / ".ndignore").write_text(content)
    tracks, left_out = scan(root)
    assert tracks == ["a.mp3"]
    assert left_out.line == "left out: .nomedia 1 (B) · .ndignore 1 (D)"
    for paths in ([root, root / "B"], [root / "B", root]):
        assert set(scan(root, *paths)[0]) == {"a.mp3", "B/b.mp3", "B/C/c.mp3"}
    assert scan(root, root / "B" / "C")[0] == ["B/C/c.mp3"]


def test_a_file_of_patterns_that_is_empty_leaves_nothing_out(root):
    put(root, "a.mp3")
    (root / ".tag-genres-ignore").write_text("# remark\n\n")
    assert scan(root)[0] == ["a.mp3"]


@pytest.mark.parametrize("name", [".ndignore", ".tag-genres-ignore"])
def test_patterns_apply_below_their_folder_and_the_inner_ones_decide(root, name):
    put(root, "a.mp3", "x.m4b", "Books/x.m4b", "Books/y.m4b", "Books/Own/y.m4b", "Old/a.mp3")
    put(root, "Sub/Old/a.mp3")
    (root / name).write_bytes("\ufeff*.m4b\r\n/Old/\r\n".encode())
    (root / "Books" / name).write_text("!y.m4b\nOwn\n")
    tracks, left_out = scan(root)
    assert tracks == ["Books/y.m4b", "Sub/Old/a.mp3", "a.mp3"]
    assert left_out.counts == {name: 4}


def test_a_pattern_brings_back_what_is_left_out_otherwise(root):
    put(root, ".38 Special/a.mp3", "@eaDir/b.mp3", ".other/c.mp3")
    (root / ".tag-genres-ignore").write_text("!.38 Special/\n")
    assert scan(root)[0] == [".38 Special/a.mp3"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("Podcasts", ["Sub/a.mp3", "a.mp3"]),
        ("/Podcasts/", ["Sub/Podcasts/b.mp3", "Sub/a.mp3", "a.mp3"]),
        ("Sub/Podcasts", ["Podcasts/b.mp3", "Sub/a.mp3", "a.mp3"]),
        ("a.*", ["Podcasts/b.mp3", "Sub/Podcasts/b.mp3"]),
        ("{root}/Sub", ["Podcasts/b.mp3", "a.mp3"]),
        ("{root}/Sub/", ["Podcasts/b.mp3", "a.mp3"]),
        ("music/Sub", ["Podcasts/b.mp3", "a.mp3"]),
        ("/elsewhere/Sub", ["Podcasts/b.mp3", "Sub/Podcasts/b.mp3", "Sub/a.mp3", "a.mp3"]),
    ],
)
def test_a_pattern_of_the_user_is_a_name_or_a_path(root, pattern, left, monkeypatch):
    put(root, "a.mp3", "Podcasts/b.mp3", "Sub/a.mp3", "Sub/Podcasts/b.mp3")
    monkeypatch.chdir(root.parent)
    pattern = check_pattern(pattern.format(root=root))
    assert scan(root, exclude=(pattern,))[0] == left
    assert scan(root, Path("music"), exclude=(pattern,))[0] == left


def test_a_pattern_may_be_a_path_through_a_link_or_a_name_with_brackets(root):
    put(root, "Live [2001]/a.mp3", "Old/b.mp3", "c.mp3", "Live 3/d.mp3")
    link = root.with_name("link")
    link.symlink_to(root)
    for named in (root, link):
        for pattern in (link / "Old", root / "Old/"):
            kept = scan(root, named, exclude=(check_pattern(str(pattern)), "Live [2001]"))[0]
            assert kept == ["Live 3/d.mp3", "c.mp3"]
        path = str(link / "Live [2001]")
        assert "Live [2001]/a.mp3" not in scan(root, named, exclude=(check_pattern(path),))[0]
    assert "Live 3/d.mp3" not in scan(root, exclude=("Live [13]",))[0]


def test_no_file_in_the_library_brings_back_what_the_user_excludes(root):
    put(root, "A/a.mp3", "A/b.m4b", "c.mp3")
    (root / "A" / ".tag-genres-ignore").write_text("!*\n")
    assert scan(root, exclude=("*.m4b",))[0] == ["A/a.mp3", "c.mp3"]
    (root / "A" / ".tag-genres-ignore").write_text("*\n")
    assert scan(root, exclude=("!a.mp3",))[0] == ["A/a.mp3", "c.mp3"]


def test_of_several_patterns_the_last_one_decides(root):
    put(root, "a.m4b", "b.m4b")
    assert scan(root, exclude=("*.m4b", "!b.m4b"))[0] == ["b.m4b"]


def test_a_name_with_a_number_sign_is_no_remark(root):
    put(root, "#old/a.mp3", "b.mp3")
    assert scan(root, exclude=(check_pattern("#old"),))[0] == ["b.mp3"]


def test_a_name_that_is_not_utf8_is_matched(root):
    folder = os.path.join(os.fsencode(root), b"caf\xe9")
    os.mkdir(folder)
    Path(os.fsdecode(folder), "a.mp3").touch()
    (root / ".tag-genres-ignore").write_bytes(b"caf\xe9/\n")
    assert scan(root)[0] == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("typed", ["Bj\u00f6rk", "Bjo\u0308rk"])
def test_letters_are_the_same_in_each_form_and_encoding_of_unicode(root, typed, encoding):
    put(root, "Bj\u00f6rk/a.mp3", "x/Bjo\u0308rk/a.mp3", "Bjork/a.mp3")
    assert scan(root, exclude=(typed,))[0] == ["Bjork/a.mp3"]
    (root / ".tag-genres-ignore").write_text(f"{typed}/\n", encoding)
    assert scan(root)[0] == ["Bjork/a.mp3"]


@pytest.mark.parametrize("text", ["", "  ", "!", "a\\", "[z-a]", "/", "*a*a*a*a"])
def test_what_is_no_pattern_is_refused(text):
    with pytest.raises(PatternError):
        check_pattern(text)


@pytest.mark.parametrize("bad", [b"!\n", b"[z-a]", b"x\n*a*a*a*a*b\n", b"**/a/**/b/**/c"])
def test_a_file_with_a_line_that_is_no_pattern_leaves_its_folder_out_and_is_named(root, bad):
    put(root, "a.mp3", "B/b.mp3")
    (root / "B" / ".tag-genres-ignore").write_bytes(bad)
    failure, track = find_tracks([root])
    assert (failure.path, track.path) == (root / "B", root / "a.mp3")
    assert "of .tag-genres-ignore" in failure.reason and failure.reason.startswith("left out")


def test_a_file_of_patterns_that_cannot_be_read_leaves_its_folder_out_and_is_named(root):
    put(root, "B/b.mp3", "C/c.mp3")
    (root / "B" / ".tag-genres-ignore").symlink_to("nowhere")
    (root / "C" / ".tag-genres-ignore").mkdir()
    reasons = [item.reason for item in find_tracks([root])]
    assert reasons == [
        "left out, since .tag-genres-ignore cannot be read",
        "left out, since .tag-genres-ignore is not a regular file",
    ]


def test_a_link_counts_by_its_own_name(root):
    put(root, "#recycle/a.mp3", "Album/b.mp3", ".git/annex/c.mp3")
    (root / "Best").mkdir()
    (root / "Best" / "a.mp3").symlink_to("../#recycle/a.mp3")
    (root / "Best" / "c.mp3").symlink_to("../.git/annex/c.mp3")
    (root / "Best" / "@eaDir").symlink_to("../Album")
    (root / "Best" / ".hidden.mp3").symlink_to("../nowhere")
    tracks, left_out = scan(root)
    assert tracks == ["Album/b.mp3", "#recycle/a.mp3", ".git/annex/c.mp3"]
    assert left_out.counts == {"system folders": 3, "hidden": 1}


def test_the_line_names_a_few_of_many(root):
    put(root, *(f".{number}.mp3" for number in range(1200)))
    assert scan(root)[1].line == "left out: hidden 1,200 (.0.mp3, .1.mp3, …)"


PARTS = st.sampled_from(["a", "b", "ab", "c.mp3", "*", "a*", "?b", "**", "[ab]"])
LINES = st.builds(
    lambda sign, front, parts, end: sign + front + "/".join(parts) + end,
    st.sampled_from(["", "", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(PARTS, min_size=1, max_size=3).filter(lambda parts: parts.count("**") < 3),
    st.sampled_from(["", "/"]),
)


@pytest.mark.skipif(shutil.which("git") is None, reason="no git to compare with")
@examples(60)
@given(outer=st.lists(LINES, max_size=4), inner=st.lists(LINES, max_size=3))
def test_patterns_mean_what_they_mean_to_git(tmp_path_factory, outer, inner):
    root = tmp_path_factory.mktemp("git") / "music"
    put(
        root,
        "a/c.mp3",
        "a/b/c.mp3",
        "a/b/ab/c.mp3",
        "b/c.mp3",
        "ab/a/c.mp3",
        "c.mp3",
        "b/a/b/c.mp3",
    )
    subprocess.run(["git", "init", "-q", root], check=True)
    for folder, lines in ((root, outer), (root / "a", inner)):
        for name in (".gitignore", ".tag-genres-ignore"):
            (folder / name).write_text("".join(f"{line}\n" for line in lines))
    command = ["git", "-C", root, "ls-files", "-z", "--others", "--exclude-standard", "*.mp3"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert sorted(scan(root)[0]) == sorted(filter(None, listed.split("\0")))


def test_a_pattern_of_the_most_stars_takes_no_time():
    name = "a" * 250
    spec = compile_patterns(["*a*a*b", "**/a/**/b"], "x")
    assert spec.check_file(f"{name}/{name}").include is None
