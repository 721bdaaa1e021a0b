from __future__ import annotations

import errno
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tagger.errors import ChangedSince, HardLinked, TagError
from tagger.files import atomic, metadata
from tagger.files.atomic import (
    SCRATCH_PREFIX,
    UNLOCKED_PREFIX,
    check_replaceable,
    clear_scratch,
    replacing,
    rewriting,
    scratch_beside,
    settle,
)
from tagger.types import WriteOptions

ROOT = Path(__file__).parents[2]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this information")
LOCKS = pytest.mark.skipif(sys.platform == "win32", reason="no file locks of this kind here")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "music" / "song.mp3"
    path.parent.mkdir()
    path.write_bytes(b"old")
    return path


def scratches(path: Path) -> list[str]:
    return [entry.name for entry in path.parent.iterdir() if entry != path]


def rewrite(path: Path, content: bytes = b"new", options: WriteOptions = atomic.DEFAULTS) -> None:
    with replacing(path, options) as scratch:
        scratch.write_bytes(content)


@contextmanager
def python(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Another process that is ready, and that ends with the block."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_the_edited_copy_takes_the_place_of_the_file(file):
    rewrite(file)
    assert file.read_bytes() == b"new"
    assert scratches(file) == []


def test_the_copy_has_the_content_and_kind_of_the_file(file):
    with replacing(file) as scratch:
        assert scratch.read_bytes() == b"old"
        assert scratch.suffix == file.suffix
        assert scratch.parent == file.parent
        assert scratch.name.startswith(".")


def test_the_file_stays_as_it_was_until_the_block_ends(file):
    with replacing(file) as scratch:
        scratch.write_bytes(b"new")
        assert file.read_bytes() == b"old"


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o664, 0o4755])
def test_the_mode_stays(file, mode):
    file.chmod(mode)
    rewrite(file)
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_the_time_stays_where_nothing_was_edited_and_moves_where_it_was(file):
    os.utime(file, ns=(10**18, 10**18))
    with replacing(file):
        pass
    assert file.stat().st_mtime_ns == 10**18
    rewrite(file)
    assert file.stat().st_mtime_ns > 10**18


def test_the_time_stays_on_request(file):
    os.utime(file, ns=(10**18, 2 * 10**18))
    rewrite(file, options=WriteOptions(keep_mtime=True))
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (b"new", 2 * 10**18)


@pytest.mark.parametrize("error", [OSError(errno.EINVAL, "invalid"), OverflowError(), None])
def test_a_time_that_cannot_be_kept_is_a_refusal_only_where_it_was_to_be_kept(
    file, error, monkeypatch
):
    def refuse(*arguments: object, **options: object) -> None:
        if error is not None:
            raise error

    before, set_time = file.stat().st_mtime_ns, os.utime
    monkeypatch.setattr(os, "utime", lambda *given, **times: None)
    rewrite(file)
    assert file.read_bytes() == b"new"
    set_time(file, ns=(before - 10**9, before - 10**9))
    with (
        pytest.raises(TagError, match="cannot be kept; run without --keep-mtime") as caught,
        replacing(file, WriteOptions(keep_mtime=True)) as scratch,
    ):
        monkeypatch.setattr(os, "utime", refuse)
        scratch.write_bytes(b"newer")
    assert caught.value.path == file
    assert (file.read_bytes(), scratches(file)) == (b"new", [])


@pytest.mark.parametrize("options", [WriteOptions(), WriteOptions(keep_mtime=True)])
def test_size_and_times_of_the_new_file_are_known_before_it_takes_the_place(file, options):
    os.utime(file, ns=(10**18, 2 * 10**18))
    with replacing(file, options) as scratch:
        scratch.write_bytes(b"longer")
        settled = settle(file, scratch, options)
    found = file.stat()
    assert (settled.st_size, settled.st_mtime_ns, settled.st_ino) == (
        6,
        found.st_mtime_ns,
        found.st_ino,
    )


def test_the_setuid_bits_stay_though_writing_clears_them(file):
    file.chmod(0o6755)
    with replacing(file) as scratch:
        scratch.chmod(0o755)  # as the system does, unless root writes
    assert stat.S_IMODE(file.stat().st_mode) == 0o6755


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_nobody_else_may_read_the_copy_while_it_is_made(file, mode, monkeypatch):
    seen = []

    def look(name: str) -> None:
        original = getattr(shutil, name)

        def looking(source: Path, target: Path) -> None:
            seen.append(stat.S_IMODE(target.stat().st_mode))
            original(source, target)

        monkeypatch.setattr(shutil, name, looking)

    file.chmod(mode)
    look("copyfile")
    look("copystat")
    rewrite(file)
    assert seen == [0o600, 0o600]


@pytest.fixture
def rated(file):
    if not hasattr(os, "setxattr"):
        pytest.skip("no extended attributes here")
    try:
        os.setxattr(file, "user.rating", b"\xff5")
    except OSError as error:
        pytest.skip(f"this file system holds none: {error}")
    return file


def test_extended_attributes_stay(rated):
    rewrite(rated)
    assert os.getxattr(rated, "user.rating") == b"\xff5"


def test_a_file_whose_attributes_cannot_be_kept_is_refused(rated, monkeypatch):
    # `copystat` says nothing when the system refuses an attribute.
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(TagError, match="attributes or access list cannot be preserved") as caught:
        rewrite(rated)
    assert caught.value.path == rated
    assert (rated.read_bytes(), scratches(rated)) == (b"old", [])


def test_a_file_system_without_attributes_is_no_obstacle(file, monkeypatch):
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOTSUP, "not supported")

    monkeypatch.setattr(os, "listxattr", refuse, raising=False)
    rewrite(file)
    assert file.read_bytes() == b"new"


def access_list(path: Path, *change: str) -> str:
    """The access list of a file or folder, as the system's own tool shows it."""
    if not (shutil.which("setfacl") and shutil.which("getfacl")):
        pytest.skip("no setfacl and getfacl here")
    if change:
        done = subprocess.run(["setfacl", *change, path], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this file system holds no access lists: {done.stderr}")
    shown = subprocess.run(["getfacl", "-pn", path], capture_output=True, text=True, check=True)
    return shown.stdout


def test_an_access_list_stays(file):
    before = access_list(file, "-m", "u:12345:rw,g:23456:r,m::r")
    rewrite(file)
    assert (file.read_bytes(), access_list(file)) == (b"new", before)


def test_the_access_list_that_a_folder_gives_new_files_is_not_taken_over(file):
    access_list(file.parent, "-d", "-m", "u:12345:rwx")
    before = access_list(file)
    rewrite(file)
    assert access_list(file) == before


@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0, reason="only root gives files away"
)
def test_the_owner_stays_and_the_mode_with_it(file):
    os.chown(file, 1234, 4321)
    file.chmod(0o2750)
    rewrite(file)
    status = file.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 4321, 0o2750)


def test_a_file_that_could_not_keep_its_owner_is_refused(file, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EPERM, "not permitted")

    status = os.stat_result([*file.stat()[:4], 1234, *file.stat()[5:]])
    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(TagError, match="another user"):
        metadata.take_owner(file, file, status)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_in_place_of_the_file_is_refused_at_once(file):
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(TagError, match="no longer a regular file"):
        rewrite(file)


def test_a_folder_in_place_of_the_file_is_refused(file):
    file.unlink()
    file.mkdir()
    with pytest.raises(TagError, match="no longer a regular file"):
        rewrite(file)


@LINUX
def test_a_pipe_that_replaces_the_file_during_the_edit_is_refused_at_once(file):
    file.unlink()
    os.mkfifo(file)
    atomic._check_unused(file)


def test_a_file_without_room_on_the_disk_is_not_copied(file, monkeypatch):
    copied = []
    monkeypatch.setattr(shutil, "copyfile", lambda *paths: copied.append(paths))
    try:
        os.truncate(file, shutil.disk_usage(file).free + (1 << 30))
    except OSError as error:
        pytest.skip(f"no such file can be made here: {error}")
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        rewrite(file)
    assert (copied, scratches(file)) == ([], [])


@pytest.mark.parametrize(("total", "free"), [(0, 0), (100, 3)])
def test_a_copy_is_made_where_it_just_fits_and_where_the_disk_reports_nothing(
    file, total, free, monkeypatch
):
    usage = SimpleNamespace(total=total, free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    rewrite(file)
    assert file.read_bytes() == b"new"


def test_a_file_with_other_hard_links_is_refused(file):
    other = file.with_name("other.mp3")
    os.link(file, other)
    with pytest.raises(HardLinked, match=r"hard-linked.*--break-hardlinks") as caught:
        rewrite(file)
    assert caught.value.path == file
    assert file.samefile(other)
    assert scratches(file) == ["other.mp3"]


def test_a_hard_link_is_broken_on_request_and_the_other_name_keeps_the_old_content(file):
    other = file.with_name("other.mp3")
    os.link(file, other)
    before = other.stat()
    rewrite(file, options=WriteOptions(break_hardlinks=True))
    assert (file.read_bytes(), other.read_bytes()) == (b"new", b"old")
    after = other.stat()
    assert (after.st_mtime_ns, after.st_mode) == (before.st_mtime_ns, before.st_mode)
    assert scratches(file) == ["other.mp3"]


@pytest.mark.parametrize(
    ("closed", "reason"), [("file", "file is read-only"), ("folder", "its folder")]
)
def test_what_is_read_only_is_refused(file, closed, reason, monkeypatch):
    # root may write everywhere, so the system's answer is replaced.
    wanted = file if closed == "file" else file.parent
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != wanted)
    with pytest.raises(TagError, match=reason) as caught:
        rewrite(file)
    assert caught.value.path == file
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


def test_a_file_that_is_gone_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_replaceable(tmp_path / "gone.mp3")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, TagError("x")])
def test_an_error_in_the_block_leaves_the_file_and_no_copy(file, error):
    with (
        pytest.raises(type(error) if isinstance(error, Exception) else error),
        replacing(file) as scratch,
    ):
        scratch.write_bytes(b"half of the n")
        raise error
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


def test_a_file_that_another_program_changed_meanwhile_keeps_that_change(file):
    with pytest.raises(ChangedSince, match="run again"), replacing(file) as scratch:
        scratch.write_bytes(b"new")
        file.write_bytes(b"theirs")
    assert (file.read_bytes(), scratches(file)) == (b"theirs", [])


def test_a_change_that_kept_the_size_is_seen_by_its_time(file):
    with pytest.raises(ChangedSince), replacing(file):
        file.write_bytes(b"odd")
        os.utime(file, ns=(1, 1))
    assert file.read_bytes() == b"odd"


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_system_that_refuses_leaves_the_file_and_no_copy(file, function, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, function, refuse)
    with pytest.raises(OSError, match="no space"):
        rewrite(file)
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


def test_a_copy_that_cannot_be_made_leaves_nothing(file, monkeypatch):
    def half(source: Path, target: Path) -> None:
        Path(target).write_bytes(b"o")
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("shutil.copyfile", half)
    with pytest.raises(OSError, match="no space"):
        rewrite(file)
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


def test_a_folder_without_fsync_is_not_a_failure(file, monkeypatch):
    sync = atomic.sync

    def picky(path: Path) -> None:
        if path.is_dir():
            raise OSError(errno.EINVAL, "not supported")
        sync(path)

    monkeypatch.setattr(atomic, "sync", picky)
    rewrite(file)
    assert file.read_bytes() == b"new"


def test_the_copy_is_on_the_disk_before_it_takes_the_place_and_the_folder_after(file, monkeypatch):
    synced = []
    monkeypatch.setattr(atomic, "sync", lambda path: synced.append((path, file.read_bytes())))
    with replacing(file) as scratch:
        scratch.write_bytes(b"new")
    assert synced == [(scratch, b"old"), (file.parent, b"new")]


KILLED = """
import os, signal, sys
from pathlib import Path
from tagger.files.atomic import replacing
with replacing(Path(sys.argv[1])) as scratch:
    scratch.write_bytes(b"half of the n")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_kill_in_the_middle_leaves_the_old_file(file):
    run = subprocess.run([sys.executable, "-c", KILLED, file], cwd=ROOT)
    assert run.returncode == -signal.SIGKILL
    assert file.read_bytes() == b"old"
    assert [name.startswith(SCRATCH_PREFIX) for name in scratches(file)] == [True]


# --- what another program writes ------------------------------------------------------------------

OPEN = """
import sys
with open(sys.argv[1], sys.argv[2]):
    print("ready", flush=True)
    sys.stdin.read()
"""


@LINUX
@pytest.mark.parametrize("mode", ["r+b", "ab"])
def test_a_file_that_another_program_has_open_for_writing_is_refused(file, mode):
    with (
        python(OPEN, file, mode),
        pytest.raises(TagError, match=r"another program.*run again") as caught,
    ):
        rewrite(file)
    assert caught.value.path == file
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


@LINUX
def test_a_program_that_opens_the_file_meanwhile_stops_the_replacement(file):
    with (
        ExitStack() as stack,
        pytest.raises(TagError, match="another program has it open"),
        replacing(file) as scratch,
    ):
        scratch.write_bytes(b"new")
        stack.enter_context(python(OPEN, file, "r+b"))
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


def test_a_program_that_reads_the_file_is_no_obstacle(file):
    with python(OPEN, file, "rb"):
        rewrite(file)
    assert file.read_bytes() == b"new"


@LINUX
@pytest.mark.parametrize("kind", sorted(atomic.UNSURE_OF_WRITERS))
def test_a_lease_refused_by_a_network_file_system_is_no_obstacle(file, kind, monkeypatch):
    # NFSv4 and SMB answer EAGAIN also for lack of a delegation, when nobody writes.
    monkeypatch.setattr(atomic, "_file_system", lambda handle: kind)
    with python(OPEN, file, "r+b"):
        rewrite(file)
    assert file.read_bytes() == b"new"


@LINUX
def test_the_file_system_of_an_open_file_is_known():
    with open("/proc/self/mountinfo", "rb") as file:
        assert atomic._file_system(file.fileno()) == "proc"


@LINUX
@pytest.mark.parametrize("code", [errno.EINVAL, errno.EACCES, errno.ENOLCK])
def test_a_system_that_does_not_know_who_writes_is_no_obstacle(file, code, monkeypatch):
    import fcntl

    def refuse(*arguments: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    rewrite(file)
    assert file.read_bytes() == b"new"


BROKEN_LEASE = """
import fcntl, os, sys
from pathlib import Path
from tagger.files.atomic import check_replaceable
set_lease = fcntl.fcntl
def set_and_break(handle, command, value):
    set_lease(handle, command, value)
    if value == fcntl.F_RDLCK:
        try:
            os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
        except BlockingIOError:
            print("broken")
fcntl.fcntl = set_and_break
check_replaceable(Path(sys.argv[1]))
"""


@LINUX
def test_a_program_that_opens_the_file_in_the_instant_of_the_look_kills_nobody(file):
    command = [sys.executable, "-c", BROKEN_LEASE, file]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (run.stdout, run.returncode) == ("broken\n", 0)


# --- scratch files --------------------------------------------------------------------------------


@pytest.fixture
def left_behind(file):
    """The scratch file of a run that was killed."""
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("no such signal here")
    subprocess.run([sys.executable, "-c", KILLED, file], cwd=ROOT)
    [name] = scratches(file)
    return file.with_name(name)


@LOCKS
def test_what_a_killed_run_left_is_removed_and_counted(left_behind, file):
    assert clear_scratch(file.parent) == 1
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


def test_a_folder_with_nothing_left_behind_stays_as_it_is(file):
    assert clear_scratch(file.parent) == 0
    assert file.read_bytes() == b"old"


HOLDING = """
import sys
from pathlib import Path
from tagger.files.atomic import replacing
with replacing(Path(sys.argv[1])) as scratch:
    scratch.write_bytes(b"new")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_the_scratch_file_of_a_living_run_stays_and_takes_its_place(file):
    with python(HOLDING, file) as process:
        assert clear_scratch(file.parent) == 0
        process.communicate()
    assert process.returncode == 0
    assert (file.read_bytes(), scratches(file)) == (b"new", [])


@LOCKS
def test_a_new_report_is_locked_while_it_is_written(file):
    with rewriting(file):
        assert clear_scratch(file.parent) == 0


@LOCKS
def test_a_replaced_file_is_no_longer_locked(file):
    import fcntl

    rewrite(file)
    with file.open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(
    "name",
    [
        ".tag-genres-0123456789abcde.mp3",
        ".tag-genres-0123456789ABCDEF.mp3",
        ".tag-genres-0123456789abcdef.old.mp3",
        ".tag-genres-0123456789abcdef-mine.mp3",
        ".tag-genres-unlocked-0123456789abcdef.mp3",
        "a.tag-genres-0123456789abcdef.mp3",
        "tag-genres-0123456789abcdef.mp3",
    ],
)
def test_files_of_other_names_are_never_removed(file, name):
    file.with_name(name).write_bytes(b"mine")
    assert clear_scratch(file.parent) == 0
    assert scratches(file) == [name]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_of_that_name_is_never_removed_and_nobody_waits_for_it(file):
    os.mkfifo(scratch_beside(file))
    assert clear_scratch(file.parent) == 0
    assert len(scratches(file)) == 1


def test_folders_and_links_of_that_name_are_never_removed(file):
    scratch_beside(file).mkdir()
    scratch_beside(file).symlink_to(file)
    assert clear_scratch(file.parent) == 0
    assert len(scratches(file)) == 2


def test_a_folder_that_cannot_be_listed_is_passed_over(file):
    assert clear_scratch(file.with_name("gone")) == 0


def test_a_scratch_file_that_cannot_be_removed_is_passed_over(left_behind, file, monkeypatch):
    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EACCES, "permission denied")

    monkeypatch.setattr(os, "unlink", refuse)
    assert clear_scratch(file.parent) == 0
    assert left_behind.exists()


@LOCKS
@pytest.mark.parametrize("code", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS, errno.EBADF])
def test_where_nothing_can_be_locked_writing_goes_on_and_nothing_is_removed(
    file, code, monkeypatch
):
    import fcntl

    def refuse(*arguments: object) -> None:
        raise OSError(code, os.strerror(code))

    scratch_beside(file).write_bytes(b"whose?")
    monkeypatch.setattr(fcntl, "flock", refuse)
    with replacing(file) as scratch:
        assert clear_scratch(file.parent) == 0
        scratch.write_bytes(b"new")
    assert file.read_bytes() == b"new"
    assert len(scratches(file)) == 1


@LOCKS
def test_a_lock_that_keeps_the_editor_out_is_given_up_for_a_name_that_is_never_cleared(
    file, monkeypatch
):
    # As over SMB: a locked file cannot be written through another descriptor.
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(errno.EACCES, "locked")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        new, lock = atomic._create(file, 0o600)
    assert lock is None
    assert scratches(file) == [new.name]
    assert new.name.startswith(UNLOCKED_PREFIX)
    assert clear_scratch(file.parent) == 0


@LOCKS
def test_a_scratch_file_that_is_cleared_before_it_is_locked_is_made_again(file, monkeypatch):
    import fcntl

    lock = fcntl.flock
    removed = []

    def late(handle: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        removed.append(clear_scratch(file.parent))
        lock(handle, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    rewrite(file)
    assert removed == [1]
    assert (file.read_bytes(), scratches(file)) == (b"new", [])


CLEARING = """
import sys
from pathlib import Path
from tagger.files.atomic import clear_scratch
print("ready", flush=True)
while True:
    clear_scratch(Path(sys.argv[1]))
"""


@LOCKS
@pytest.mark.parametrize("times", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_a_run_that_clears_all_the_time_disturbs_no_other(file, times):
    with python(CLEARING, file.parent):
        for number in range(times):
            rewrite(file, b"%d" % number)
            assert file.read_bytes() == b"%d" % number


def test_a_new_file_takes_the_place_of_the_target(file):
    with rewriting(file) as scratch:
        assert scratch.read_bytes() == b""
        scratch.write_bytes(b"new")
        assert file.read_bytes() == b"old"
    assert (file.read_bytes(), scratches(file)) == (b"new", [])


def test_a_new_file_may_be_the_first_of_its_name(file):
    target = file.with_name("genres.csv")
    with rewriting(target) as scratch:
        scratch.write_bytes(b"new")
        assert not target.exists()
    assert target.read_bytes() == b"new"


@pytest.mark.skipif(os.name == "nt", reason="modes work differently here")
def test_a_new_file_has_the_mode_of_any_new_file(file):
    usual = file.with_name("usual")
    usual.touch()
    with rewriting(file):
        pass
    assert file.stat().st_mode == usual.stat().st_mode


def test_a_new_file_that_is_not_finished_is_deleted(file):
    with pytest.raises(ValueError, match="no"), rewriting(file) as scratch:
        scratch.write_bytes(b"half")
        raise ValueError("no")
    assert (file.read_bytes(), scratches(file)) == (b"old", [])


def test_a_file_that_has_the_name_already_is_not_written_over(file, monkeypatch):
    monkeypatch.setattr("secrets.token_hex", lambda length: "0" * 2 * length)
    theirs = scratch_beside(file)
    theirs.write_bytes(b"theirs")
    with pytest.raises(FileExistsError):
        rewrite(file)
    assert theirs.read_bytes() == b"theirs"


def test_scratch_names_are_hidden_new_and_keep_the_suffix(file):
    one, other = scratch_beside(file), scratch_beside(file)
    assert one != other
    assert (one.parent, one.suffix, one.name[0]) == (file.parent, ".mp3", ".")
