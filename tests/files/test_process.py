"""Whatever a function does to its child process, it costs one answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty

import numpy as np
import pytest
from helpers import hostile

from tagger.errors import Crashed, TooLong
from tagger.files.process import NOISE_BYTES, Child, _wait

POSIX = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits and process list of Linux")


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child()
    yield child
    child.close()


def eventually(holds: Callable[[], bool], seconds: float = 5) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class KillsItsSender:
    """What ends the process that pickles it."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        hostile.kill_itself()
        return (KillsItsSender, ())


def large(size: int) -> np.ndarray:
    return np.arange(size, dtype=np.float32)


def half_of_an_answer(size: int) -> tuple[np.ndarray, KillsItsSender]:
    return large(size), KillsItsSender()


def half_of_an_answer_once(file: str, size: int) -> object:
    if os.path.exists(file):
        return large(size)
    Path(file).touch()
    return half_of_an_answer(size)


def imported(module: str) -> bool:
    return module in sys.modules


def test_a_call_returns_what_the_function_returns(child):
    assert child.call(30, hostile.echo, {"x": (1, b"\xff")}) == {"x": (1, b"\xff")}


def test_an_error_of_the_function_is_raised_here(child):
    with pytest.raises(ValueError, match="as raised"):
        child.call(30, hostile.raise_it)


def test_an_error_that_cannot_be_sent_comes_with_its_traceback(child):
    with pytest.raises(RuntimeError, match="raise_unpicklable"):
        child.call(30, hostile.raise_unpicklable)


def test_calls_share_a_process(child):
    assert child.call(30, hostile.process) == child.call(30, hostile.process) != os.getpid()


@POSIX
@pytest.mark.parametrize(
    ("function", "how"),
    [
        (hostile.segfault, "SIGSEGV"),
        (hostile.abort, "SIGABRT"),
        (hostile.leave, "exit code 3"),
    ],
)
def test_a_crash_costs_one_answer(child, function, how):
    with pytest.raises(Crashed, match=f"ended the process that read it .{how}.") as caught:
        child.call(30, function)
    assert caught.value.lasting
    assert child.call(30, hostile.echo, 1) == 1


@pytest.mark.parametrize("function", [hostile.hang, hostile.spin])
def test_a_hang_costs_one_answer_and_no_more_time_than_given(child, function):
    child.call(30, hostile.echo, 1)
    start = time.monotonic()
    with pytest.raises(TooLong, match=r"longer than 0\.5 s"):
        child.call(0.5, function)
    assert time.monotonic() - start < 10
    assert child.call(30, hostile.echo, 1) == 1


@LINUX
@pytest.mark.parametrize("function", [hostile.eat, hostile.eat_slowly])
def test_asking_for_too_much_memory_costs_one_answer(child, function):
    with pytest.raises(Crashed, match="more than 2 GB of memory"):
        child.call(60, function)
    assert child.call(30, hostile.echo, 1) == 1


@POSIX
@pytest.mark.parametrize("function", ["kill_itself", "segfault", "leave"])
def test_a_process_that_ended_once_costs_nothing(child, tmp_path, function):
    assert child.call(30, hostile.once, str(tmp_path / "done"), function) == "survived"


@POSIX
def test_a_process_that_was_killed_each_time_may_fare_better_in_the_next_run(child):
    with pytest.raises(Crashed, match="SIGKILL") as caught:
        child.call(30, hostile.kill_itself)
    assert not caught.value.lasting


@POSIX
def test_a_process_killed_between_two_calls_is_replaced(child):
    pid = child.call(30, hostile.process)
    os.kill(pid, signal.SIGKILL)
    assert child.call(30, hostile.process) != pid


def test_what_libraries_print_is_kept_apart_from_answers_and_from_the_terminal(child, capfd):
    assert child.call(30, hostile.make_noise) == "done"
    assert child.noise.split() == ["on", "stdout", "on", "stderr"]
    assert capfd.readouterr() == ("", "")
    child.call(30, hostile.echo, 1)
    assert child.noise == ""
    child.call(30, hostile.make_noise)
    assert child.noise == "on stdout\non stderr"


@LINUX
def test_endless_noise_fills_neither_disk_nor_memory(child):
    with pytest.raises(OSError, match="File too large"):
        child.call(30, hostile.print_for_ever)
    assert 0 < len(child.noise) <= NOISE_BYTES


def test_a_program_that_a_decoder_starts_cannot_take_the_requests(child):
    assert child.call(30, hostile.take_from_stdin) == b""


@LINUX
def test_programs_that_a_decoder_started_end_with_it(child, tmp_path):
    with pytest.raises(TooLong):
        child.call(2, hostile.start_a_program, str(tmp_path / "pid"))
    pid = int((tmp_path / "pid").read_text())
    assert eventually(lambda: not is_running(pid))


def test_closing_ends_a_call_of_another_thread(child):
    caught: list[BaseException] = []

    def call() -> None:
        try:
            child.call(60, hostile.hang)
        except Crashed as error:
            caught.append(error)

    thread = threading.Thread(target=call)
    child.call(30, hostile.echo, 1)
    thread.start()
    time.sleep(0.3)
    child.close()
    thread.join(10)
    assert caught


def test_the_answer_to_a_call_that_was_interrupted_is_never_that_to_the_next(child, monkeypatch):
    child.call(30, hostile.echo, 1)

    def interrupted(answers, seconds):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("tagger.files.process._wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            child.call(30, hostile.echo, "the first")
    assert child.call(30, hostile.echo, "the second") == "the second"


@pytest.mark.parametrize("size", [2_500_000, pytest.param(25_000_000, marks=pytest.mark.slow)])
def test_a_large_answer_arrives_as_it_was_sent(child, size):
    np.testing.assert_array_equal(child.call(60, large, size), large(size))
    assert child.call(30, hostile.echo, "the next") == "the next"


@POSIX
def test_half_of_an_answer_is_none(child, tmp_path):
    with pytest.raises(Crashed, match="SIGKILL"):
        child.call(30, half_of_an_answer, 1_000_000)
    again = child.call(30, half_of_an_answer_once, str(tmp_path / "done"), 1_000_000)
    np.testing.assert_array_equal(again, large(1_000_000))


def test_a_process_that_was_started_answers_the_first_call(child, monkeypatch):
    child.start()
    child.start()
    monkeypatch.delattr(subprocess, "Popen")
    assert child.call(30, hostile.process) == child.call(30, hostile.process)


def test_a_process_imports_what_it_will_need_before_it_is_asked():
    child = Child(["wave", "there is no such module"])
    assert child.call(30, imported, "wave")
    child.close()


@LINUX
def test_closing_ends_a_process_that_was_never_called(child):
    child.start()
    pid = child._process.pid
    child.close()
    assert eventually(lambda: not is_running(pid))
    child.start()
    with pytest.raises(Crashed, match="closed"):
        child.call(30, hostile.echo, 1)


@LINUX
def test_a_process_is_not_replaced_for_what_its_parent_needs(child):
    needed = b"x" * (700 << 20)
    assert child.call(30, hostile.process) == child.call(30, hostile.process)
    del needed


@LINUX
def test_a_process_that_keeps_much_memory_is_replaced(child):
    pid = child.call(30, hostile.process)
    assert child.call(30, hostile.leak) == pid
    assert child.call(30, hostile.process) != pid


def test_time_for_which_this_process_was_stopped_does_not_count(child, monkeypatch):
    """As with Ctrl-Z: the first wait counts as one slice, however long it took."""
    monkeypatch.setattr("tagger.files.process.WAIT_STEP", 0.2)
    answers = [Empty, Empty, (True, "in time", False)]

    class Stopped:
        def get(self, timeout):
            answer = answers.pop(0)
            if answer is Empty:
                raise Empty
            return answer

    assert _wait(Stopped(), 0.6) == (True, "in time", False)


def test_where_no_process_can_be_started_the_next_run_may_fare_better(child, monkeypatch):
    def refuse(*arguments, **options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(Crashed, match="Resource temporarily unavailable") as caught:
        child.start()
        child.call(30, hostile.echo, 1)
    assert not caught.value.lasting


def test_without_a_temporary_folder_only_the_noise_is_lost(monkeypatch):
    def refuse(*arguments):
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    child = Child()
    assert (child.call(30, hostile.make_noise), child.noise) == ("done", "")
    child.close()


MAIN = """
import sys, time
from helpers import hostile
from tagger.files.process import Child
child = Child()
print(child.call(30, hostile.process), flush=True)
child.call(60, getattr(hostile, sys.argv[1]))
"""


@LINUX
@pytest.mark.parametrize("at", ["hang", "spin"])
def test_the_process_ends_with_a_parent_that_is_killed(at):
    search = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, at], stdout=subprocess.PIPE, env=search
    ) as parent:
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
    assert eventually(lambda: not is_running(pid))


def test_modules_are_not_taken_from_the_working_folder(child, tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit('taken from the music folder')")
    (tmp_path / "pickle.py").write_text("raise SystemExit('taken from the music folder')")
    monkeypatch.chdir(tmp_path)
    assert child.call(30, hostile.echo, 1) == 1
