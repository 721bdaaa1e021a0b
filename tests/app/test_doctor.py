"""`tag-genres doctor` reports what it finds, names what is broken, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result
from helpers import probed
from helpers.cards import TOO_OLD, break_cuda
from helpers.command import LIBRARY, ROOT, environment, run_command, run_script

from tagger.app import diagnosis, doctor, probes
from tagger.app.diagnosis import Container, Device, Diagnosis, Package
from tagger.app.state_file import look_at_state
from tagger.audio import decoders
from tagger.cli.tag import main
from tagger.models import device
from tagger.state.database import VERSION
from tagger.state.store import State
from tagger.types import DEFAULT_MODEL, Prediction, Track

HEAVY = ("torch", "transformers", "pandas", "numpy", "av", "mutagen", "huggingface_hub", "sqlite3")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder; the slow probes are replaced by good results."""
    folder = tmp_path / "home"
    folder.mkdir()
    for name, value in environment(folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TAG_GENRES_MODEL", raising=False)
    monkeypatch.setattr(probes, "try_packages", probed.packages)
    monkeypatch.setattr(probes, "try_device", lambda device, precision: probed.CPU)
    monkeypatch.setattr(probes, "try_containers", lambda: {"mp3": probed.CONTAINERS["mp3"]})
    return folder


def examined(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["doctor", *map(str, arguments)])


def reported(*arguments: object) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(examined("--json", *arguments).stdout)
    return report


# --- the whole --------------------------------------------------------------------------------


def test_everything_is_found_here_and_text_and_json_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TAG_GENRES_MODEL", raising=False)
    examine, found = doctor.examine, list[Diagnosis]()
    monkeypatch.setattr(
        doctor, "examine", lambda asked, show: found.append(examine(asked, show)) or found[0]
    )
    text = examined().stdout.removesuffix("\n")
    assert {path.name for path in tmp_path.iterdir()} == set()  # nothing was made
    monkeypatch.setattr(doctor, "examine", lambda asked, show: found[0])
    report = reported()
    assert report["works"] and not report["broken"]
    assert report["device"]["torch"] == torch.__version__
    assert report["device"]["name"] == str(device.choose_device("auto"))
    chosen = device.choose_precision("auto", device.choose_device("auto"))
    assert f"torch.{report['device']['precision']}" == str(chosen)
    assert report["cores"] == device.count_cores()
    assert report["packages"]["av"]["library"].startswith("FFmpeg")
    readable = {name: row for name, row in report["containers"].items() if row["decoders"]}
    assert {path.stem for path in probes.SAMPLES.iterdir()} == set(readable)
    assert all(row["used"] for row in readable.values())
    assert readable["flac"]["used"] == "soundfile" and readable["m4a"]["used"] == "PyAV"

    facts = [report["tag_genres"], report["python"], report["platform"], report["state"]["path"]]
    facts += [report["device"]["name"], report["device"]["precision_reason"]]
    facts += [package["version"] for package in report["packages"].values()]
    facts += [place["path"] for place in report["space"].values()]
    assert Path(report["beets_plugin"], "tag-genres.py").exists()
    facts += [report["beets_plugin"]]
    facts += [*report["models"], *report["containers"], report["config"]["path"], DEFAULT_MODEL]
    assert [fact for fact in facts if fact not in text] == []
    for name, row in readable.items():
        line = next(line for line in text.splitlines() if line.startswith(f"  {name} "))
        cells = line[24:].split()[: len(probes.DECODERS)]
        at = probes.DECODERS.index(row["used"])
        assert [index for index, cell in enumerate(cells) if cell == "used"] == [at], line
        assert [cell == "no" for cell in cells] == [
            bool(row["decoders"][d]) for d in row["decoders"]
        ]
    assert text.endswith("a run would work")


def test_the_json_has_these_keys_in_this_order(home: Path) -> None:
    """Scripts read them: renaming an attribute must not rename its key."""
    report = reported()
    assert list(report) == [
        "tag_genres", "python", "platform", "packages", "device", "cores", "containers",
        "programs", "models", "default_model", "config", "state", "beets_plugin", "network",
        "space", "broken", "warnings", "works",
    ]  # fmt: skip
    assert list(report["packages"]["av"]) == ["version", "library", "error"]
    assert list(report["device"]) == [
        "name", "reason", "gpus", "torch", "cuda_build", "trouble", "error", "precision",
        "precision_reason",
    ]  # fmt: skip
    assert list(report["containers"]["mp3"]) == ["used", "decoders"]
    assert list(report["default_model"]) == ["names", "source", "error", "missing"]
    assert list(report["config"]) == ["path", "exists", "error"]
    assert list(report["state"]) == [
        "path", "exists", "bytes", "check", "writable", "fatal", "predictions", "runs",
    ]  # fmt: skip
    assert list(report["space"]) == ["state", "models", "temporary"]
    assert list(report["space"]["state"]) == ["path", "bytes"]


def test_what_is_broken_is_named_and_ends_nothing(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "torch").mkdir(parents=True)
    (broken / "torch" / "__init__.py").write_text("import os; os.abort()")
    (broken / "soundfile.py").write_text("raise OSError('sndfile library not found')")
    (broken / "mutagen.py").write_text("import nothing_of_this_name")
    programs = tmp_path / "programs"
    programs.mkdir()
    (tmp_path / "home").mkdir()
    path = os.pathsep.join([str(broken), str(ROOT)])
    done = run_script(
        "doctor",
        cwd=tmp_path / "home",
        env=environment(tmp_path / "home") | {"PYTHONPATH": path, "PATH": str(programs)},
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert "SIGABRT" in next(line for line in lines if line.startswith("broken: the device"))
    assert any(line.startswith("broken: mutagen cannot be imported") for line in lines)
    assert "warning: soundfile cannot be imported: sndfile library not found" in lines
    program = next(line for line in lines if line.startswith("warning: ffmpeg and ffprobe not on"))
    assert "none of the containers that were tried" in program
    flac = next(line for line in lines if line.startswith("  flac "))
    assert flac.split()[1:4] == ["no", "used", "no"]
    assert "sndfile library not found" in flac and "pydub:" not in flac  # the warning says why
    assert lines[-1].startswith("broken: ")


def test_nothing_goes_over_the_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        env = environment(tmp_path)
        env |= {"HF_ENDPOINT": address, "HTTP_PROXY": address, "HTTPS_PROXY": address}
        env |= {"TAG_GENRES_MODEL": "someone/something", "HF_HUB_OFFLINE": "0", "NO_PROXY": ""}
        env["PATH"] = str(tmp_path)  # FFmpeg takes its time
        done = run_script("doctor", cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stdout
        assert "someone/something is not on disk; a run downloads it" in done.stdout
        assert "nothing was contacted" in done.stdout
        with pytest.raises(BlockingIOError):
            server.accept()


def test_each_line_is_printed_as_soon_as_it_is_known(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow probe begins to answer only once the lines before it are there."""
    shown: dict[str, threading.Event] = defaultdict(threading.Event)
    lines: list[str] = []

    def echo(line: str, **more: object) -> None:
        lines.append(line)
        shown[line.split()[0]].set()

    def device(device: str, precision: str) -> Device:
        assert shown["default"].wait(20)  # the line of the default model
        return Device(name="cpu", torch="2.13.0", precision="float32")

    def containers() -> dict[str, Container]:
        assert shown["cores"].wait(20)
        return {"mp3": Container("PyAV", {"soundfile": "no", "PyAV": "", "pydub": None})}

    def packages() -> Iterator[tuple[str, Package]]:
        for before, name in zip(["network", *probes.PACKAGES], probes.PACKAGES, strict=False):
            assert shown[before].wait(20)
            yield name, Package(version="1.0")

    for name, probe in {"device": device, "containers": containers, "packages": packages}.items():
        monkeypatch.setattr(probes, f"try_{name}", probe)
    monkeypatch.setattr(click, "echo", echo)
    assert examined().exit_code == 0
    assert lines[0].startswith("tag-genres ") and lines[-1] == "a run would work"


def test_the_first_line_needs_no_import_that_takes_long(home: Path) -> None:
    code = (
        "import sys, click; from tagger.cli.tag import main\n"
        "def echo(*line, **more):\n"
        f"    print(*sorted(set(sys.modules) & {{*{HEAVY!r}}})); sys.exit()\n"
        "click.echo = echo; main(['doctor'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and done.stdout == "\n", done.stderr


# --- decoders ---------------------------------------------------------------------------------


def test_the_decoders_are_those_of_a_run() -> None:
    assert list(decoders.DECODERS) == list(probes.DECODERS)


@pytest.mark.parametrize("path", sorted(probes.SAMPLES.iterdir()), ids=lambda path: path.name)
def test_each_sample_decodes_to_its_tone(path: Path) -> None:
    shown = []
    for name in ("soundfile", "PyAV"):  # these come with the package
        try:
            shown.append(probes.check_sample(path, name))
        except Exception as error:
            assert probes.describe(error)
    assert shown and not any(shown)


def test_the_samples_are_small() -> None:
    assert sum(path.stat().st_size for path in probes.SAMPLES.iterdir()) < 100_000


@pytest.mark.parametrize(
    ("pitch", "level", "reason"),
    [(1000, 0.3, ""), (1100, 0.3, "another sound"), (1000, 0.003, "another"), (0, 0, "another")],
)
def test_another_sound_is_not_taken_for_the_tone(
    tmp_path: Path, pitch: float, level: float, reason: str
) -> None:
    wave = level * np.sin(2 * np.pi * pitch * np.arange(8000) / 16_000)
    soundfile.write(tmp_path / "sound.wav", wave, 16_000)
    shown = probes.check_sample(tmp_path / "sound.wav", "soundfile")
    assert reason in shown and bool(reason) == bool(shown)


def test_a_decoder_that_crashes_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "soundfile.py").write_text("import os; os.abort()")
    monkeypatch.syspath_prepend(tmp_path)
    flac = probes.SAMPLES / "flac.flac"
    crashing, working = probes.Attempt(flac, "soundfile"), probes.Attempt(flac, "PyAV")
    reasons = probes.try_samples([crashing, working])
    assert "SIGABRT" in reasons[crashing]
    assert reasons[working] == ""


# --- the device -------------------------------------------------------------------------------


def test_a_broken_cuda_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = break_cuda(monkeypatch, home)
    found = probes.look_at_device()
    assert found.name in ("cpu", "mps") and found.trouble is not None
    assert card in found.trouble and TOO_OLD in found.trouble
    monkeypatch.setattr(probes, "try_device", lambda device, precision: found)
    result = examined()
    assert result.exit_code == 0  # it works, but slowly
    assert f"warning: the NVIDIA GPU cannot be used: {found.trouble}" in result.stdout
    report = reported()
    assert report["device"] == asdict(found) | {"gpus": []}
    assert found.trouble in "".join(report["warnings"])


def test_a_device_that_computes_nothing_is_broken(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*size: int, **where: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nmore")

    monkeypatch.setattr("torch.ones", fail)
    found = probes.look_at_device()
    assert "cannot compute (CUDA error: no kernel image is available)" in found.error
    monkeypatch.setattr(probes, "try_device", lambda device, precision: found)
    result = examined()
    assert result.exit_code == 1
    assert "no kernel image" in result.stdout.splitlines()[-1]


def test_a_device_that_does_not_answer_is_broken() -> None:
    assert probes.try_device(seconds=0.001) == Device(error="no answer after 0.001 s")


def test_a_run_names_a_gpu_that_it_does_not_use(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("torch can use the GPU")
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    track = LIBRARY / "07 Iron Door.aiff"
    env = environment(home) | {"PATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": "0"}
    shown = run_command(track, "--windows", "1", cwd=home, env=env).stderr
    assert shown.count("the NVIDIA GPU is not used") == 1 and str(program) in shown
    asked = run_command(track, "--device", "cpu", "--windows", "1", cwd=home, env=env)
    assert asked.returncode == 0 and "NVIDIA" not in asked.stderr
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert str(program) in (probes.look_at_device().trouble or "")


# --- the state file ---------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state file with one prediction and two runs."""
    path = tmp_path / "states" / "état 1?#%.sqlite3"
    with State(path) as state:
        fill(state)
    return path


def fill(state: State) -> None:
    track = Track(Path("/music/a.mp3"), 1000, 1)
    state.save_prediction(Prediction(track, ("blues", "jazz"), (0.2, 0.8), 1, 8, 60.0), "f", "p")
    state.begin_run("tag", "small")
    state.begin_run("undo", "small")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_a_state_file_holds_is_reported_and_left_as_it_is(state: Path, home: Path) -> None:
    before = contents(state.parent)
    report = reported("--state", state)["state"]
    assert report["check"] == "ok" and report["writable"] and not report["fatal"]
    assert (report["predictions"], report["runs"]) == (1, 2)
    assert report["bytes"] == state.stat().st_size
    assert "ok, predictions: 1, runs: 2" in examined("--state", state).stdout
    assert contents(state.parent) == before


def test_what_another_run_has_written_just_now_is_counted(state: Path) -> None:
    with State(state) as open_state:
        open_state.begin_run("tag", "small")
        assert look_at_state(state, is_default=False).runs == 3
        open_state.begin_run("tag", "small")
        assert look_at_state(state, is_default=False).runs == 4


def test_what_a_killed_run_left_is_counted_and_left(tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    with State(tmp_path / "state") as state:
        fill(state)
        for end in ("", "-wal"):
            shutil.copy(f"{tmp_path / 'state'}{end}", left / f"state{end}")
    before = contents(left)
    assert before["state-wal"]
    assert look_at_state(left / "state", is_default=False).runs == 2
    after = contents(left)
    assert {name: after[name] for name in before} == before


def test_no_state_file_is_made(tmp_path: Path, home: Path) -> None:
    report = reported("--state", tmp_path / "new" / "state")
    assert report["works"] and report["state"]["check"] is None
    assert not (tmp_path / "new").exists() and not list(home.iterdir())


@pytest.mark.parametrize("ours", [True, False])
def test_a_damaged_state_file_is_reported_and_left_as_it_is(home: Path, ours: bool) -> None:
    path = home / "state" / "tag-genres" / "state.sqlite3"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database at all" * 1000)
    result = examined(*([] if ours else ["--state", path]))
    assert result.exit_code == (0 if ours else 1)
    last = result.stdout.splitlines()[-1 if not ours else -2]
    assert "it is not a database" in last and last.startswith("warning" if ours else "broken")
    assert contents(path.parent) == {path.name: b"no database at all" * 1000}


def test_a_damaged_page_is_reported(state: Path, home: Path) -> None:
    content = bytearray(state.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    state.write_bytes(content)
    report = reported("--state", state)
    assert report["state"]["check"] != "ok" and not report["state"]["fatal"]
    assert any("is damaged" in sentence for sentence in report["warnings"])
    assert state.read_bytes() == content


@pytest.mark.parametrize(
    ("change", "shown"),
    [("application_id = 5", "another program"), (f"user_version = {VERSION + 1}", "newer version")],
)
def test_a_state_file_that_a_run_refuses_is_broken(
    state: Path, home: Path, change: str, shown: str
) -> None:
    with closing(sqlite3.connect(state)) as database:
        database.execute(f"PRAGMA {change}")
    result = examined("--state", state)
    assert result.exit_code == 1 and shown in result.stdout.splitlines()[-1]


def test_a_state_file_that_cannot_be_written_is_broken(
    state: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = examined("--state", state / "below")
    monkeypatch.setattr(os, "access", lambda place, mode: mode != os.W_OK or place != state)
    for result in (below, examined("--state", state)):
        assert result.exit_code == 1
        assert "cannot be written" in result.stdout.splitlines()[-1]


# --- config and model -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["min-confidence = ", "state = 5", "model = true", "explain = true"]
)
def test_a_config_that_cannot_be_read_is_broken(home: Path, tmp_path: Path, text: str) -> None:
    config = tmp_path / "c.toml"
    config.write_text(text)
    result = examined("--config", config)
    assert result.exit_code == 1 and str(config) in result.stdout.splitlines()[-1]


def test_state_and_model_of_the_config_are_examined(home: Path) -> None:
    config = home / "config" / "tag-genres" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('state = "mine.db"\nmodel = ["bundled", "./nowhere"]')
    report = reported()
    assert report["state"]["path"] == str(config.parent / "mine.db")
    assert report["default_model"]["names"] == ["bundled", "./nowhere"]
    assert report["default_model"]["source"] == "config file"
    assert "./nowhere" in report["default_model"]["error"] and not report["works"]


def test_a_default_model_that_is_not_there_is_broken(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reported()["default_model"]["source"] == "default"
    monkeypatch.setenv("TAG_GENRES_MODEL", "/no/such/folder")
    result = examined()
    assert result.exit_code == 1
    assert "/no/such/folder" in result.stdout.splitlines()[-1]


def test_a_model_of_the_hub_that_may_not_be_downloaded_is_broken(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TAG_GENRES_MODEL", "someone/something")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    assert "HF_HUB_OFFLINE" in examined().stdout.splitlines()[-1]
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert reported()["default_model"]["missing"] == ["someone/something"]
    monkeypatch.setenv("TAG_GENRES_MODEL", "discogs")
    assert "--accept-licence" in examined().stdout.splitlines()[-1]


def test_little_space_is_a_warning(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "LOW_SPACE", 1 << 62)
    report = reported()
    assert report["works"] and len([w for w in report["warnings"] if "little space" in w]) == 3
