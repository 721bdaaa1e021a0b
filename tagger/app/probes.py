"""Parts of this machine, tried: packages, the device, decoders, programs, the state file.

Whatever may crash or hang is tried in a process of its own. Nothing is changed or downloaded.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from importlib import import_module, metadata
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tagger.errors import TaggerError
from tagger.files.process import Child
from tagger.models.device import count_cores
from tagger.state.database import APPLICATION, APPLICATION_AT, MAGIC, VERSION

Found = dict[str, Any]

SAMPLES = Path(__file__).with_name("samples")  # examples/make_samples.py makes them
TONE = 1000  # Hz, in each of them
PURE = 0.9  # share of the energy that the tone must have; lossy encoders leave 0.99 of it
LEVELS = (0.1, 0.4)  # root mean square that it may have; 0.21 was encoded
DECODERS = ("soundfile", "PyAV", "pydub")  # `decoders.DECODERS`, whose module needs numpy
NO_SAMPLE = ("ape", "musepack 7", "tak")  # containers that can be read, but not made
PACKAGES = ("transformers", "numpy", "pandas", "mutagen", "soxr", "safetensors", "huggingface_hub",
            "soundfile", "av", "pydub")  # fmt: skip
NO_DEVICE: Found = {
    "name": None, "reason": "", "gpus": [], "torch": None, "cuda_build": None, "trouble": "",
    "error": "", "precision": None, "precision_reason": "",
}  # fmt: skip
MOST_CHILDREN = 8
DEVICE_SECONDS, PACKAGE_SECONDS, SAMPLE_SECONDS, PROGRAM_SECONDS = 120, 60, 20, 10


def try_packages() -> Found:
    """Name to `version`, `library` (the one in C that it brings) and `error` (why it is no use)."""
    found: Found = {}
    with closing(Child()) as child:
        for name in PACKAGES:
            found[name] = {"version": None, "library": "", "error": ""}
            try:
                version, library = child.call(PACKAGE_SECONDS, package_version, name)
                found[name] |= {"version": version, "library": library}
            except Exception as error:  # whatever a broken package raises
                found[name]["error"] = one_line(error)
    return found


def package_version(name: str) -> tuple[str, str]:
    """The version of a package, imported, and of the C library that it brings along, or ""."""
    module = import_module(name)
    library = ""
    if name == "soundfile":
        library = f"libsndfile {module.__libsndfile_version__}"
    elif name == "av":
        library = f"FFmpeg {module.ffmpeg_version_info}"
    return metadata.version(name), library


def try_device() -> Found:
    """Where a run computes, in which numbers and why; the keys are those of `NO_DEVICE`.

    `trouble` is why torch cannot use an NVIDIA GPU that is here, `error` why nothing computes.
    """
    return NO_DEVICE | _apart("look_at_device", DEVICE_SECONDS)


def look_at_device() -> Found:
    """What `try_device` tells, found out in this process."""
    try:
        import torch

        from tagger.models import device
    except Exception as error:
        return {"error": f"torch cannot be imported: {one_line(error)}"}
    found: Found = {"torch": torch.__version__, "cuda_build": torch.version.cuda}
    try:
        works, found["trouble"] = device.look_for_cuda()
        chosen = device.choose_device("auto")
        found |= {"name": str(chosen), "reason": _why(chosen.type, found["trouble"])}
        gpus = map(torch.cuda.get_device_properties, range(torch.cuda.device_count() * works))
        found["gpus"] = [{"name": gpu.name, "bytes": gpu.total_memory} for gpu in gpus]
        found["precision"] = str(device.choose_precision("auto", chosen)).removeprefix("torch.")
        fast = device.fast_bfloat16(chosen)
        lacking = "the CPU has neither AMX nor AVX512-BF16"
        if chosen.type != "cpu":
            lacking = "bfloat16 is not known to be fast there"
        found["precision_reason"] = f"{fast} multiplies bfloat16 fast" if fast else lacking
        device.try_device(chosen)
    except Exception as error:  # whatever driver and libraries say
        found["error"] = one_line(error)
    return found


def _why(kind: str, trouble: str) -> str:
    if kind != "cpu":
        return "torch can use it"
    if trouble:
        return "torch cannot use the GPU"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    no_gpu = "torch finds no GPU"
    return no_gpu if hidden is None else f"{no_gpu}; CUDA_VISIBLE_DEVICES is {hidden!r}"


def _apart(function: str, seconds: float) -> Found:
    """What a function of this module returns in a process of its own; else `error` says why not.

    Unlike a `Child` it may take as much memory as it needs, which for CUDA is much.
    """
    path = ascii([os.path.abspath(folder) for folder in sys.path])
    code = (
        f"import sys, json; sys.path[:] = {path}; from tagger.app import probes; "
        f"print('\\n' + json.dumps(probes.{function}()))"
    )
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        answer, noise = process.communicate(timeout=seconds)
        found: Found = json.loads(answer.splitlines()[-1])
        return found
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # a broken driver may keep it for ever
            process.communicate(timeout=1)
        return {"error": f"no answer after {seconds:g} s"}
    except (ValueError, IndexError):
        how = f"exit code {process.returncode}"
        with suppress(ValueError):
            how = signal.Signals(-process.returncode).name
        last = noise.decode(errors="replace").strip().rpartition("\n")[2]
        return {"error": f"the process that tried it ended ({how}) {last}".rstrip()}


def try_containers() -> Found:
    """Container to `used` (the decoder of a run, or None) and `decoders`: "", or why it cannot.

    Of one without a sample, `decoders` is None.
    """
    pairs = [(path, name) for path in sorted(SAMPLES.glob("*")) for name in DECODERS]
    parts = min(MOST_CHILDREN, count_cores() + 1)  # programs that pydub starts take longest
    with ThreadPoolExecutor(parts) as threads:
        told = threads.map(_try_samples, (pairs[part::parts] for part in range(parts)))
        reasons = {pair: reason for part in told for pair, reason in part.items()}
    found: Found = {name: {"used": None, "decoders": None} for name in NO_SAMPLE}
    for path in {path for path, _ in pairs}:
        row = {name: reasons[path, name] for name in DECODERS}
        used = next((name for name, reason in row.items() if not reason), None)
        found[path.stem] = {"used": used, "decoders": row}
    return dict(sorted(found.items()))


def _try_samples(pairs: Sequence[tuple[Path, str]]) -> dict[tuple[Path, str], str]:
    told = {}
    with closing(Child()) as child:
        for pair in pairs:
            try:
                told[pair] = child.call(SAMPLE_SECONDS, hear, *pair)
            except Exception as error:  # also that of a package which cannot be imported
                told[pair] = one_line(error)
    return told


def hear(path: Path, decoder: str) -> str:
    """Read a sample with one decoder: "" if its tone sounds, else what sounds instead."""
    import numpy as np

    from tagger.audio.decoders import DECODERS

    with closing(DECODERS[decoder](path)) as source:
        samples = source.read(0, source.length)
    edge = len(samples) // 4  # what encoders put in front and behind is silent
    middle = samples[edge : len(samples) - edge].astype(float)  # (n,)
    if not len(middle):
        return "it finds no sound in it"
    energy = float((middle**2).sum())
    wave = np.exp(2j * np.pi * TONE / source.rate * np.arange(len(middle)))  # (n,)
    share = 2 * abs((middle * wave).sum()) ** 2 / len(middle) / max(energy, 1e-12)
    level = (energy / len(middle)) ** 0.5
    if share > PURE and LEVELS[0] < level < LEVELS[1]:
        return ""
    return f"it decodes to another sound ({share:.0%} of it the tone, level {level:.3f})"


def one_line(error: Exception) -> str:
    """What an error says, without the path that bindings put around a C library's words."""
    words = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
    if not isinstance(error, TaggerError | OSError) and words is error:
        words = f"{type(error).__name__}: {error}"
    return " ".join(str(words).split())[:500].rstrip(".")


def program_version(name: str) -> str | None:
    """The version that FFmpeg's programs tell of themselves; None of one that is not here."""
    path = shutil.which(name)
    if path is None:
        return None
    try:
        command = [path, "-version"]
        done = subprocess.run(command, capture_output=True, timeout=PROGRAM_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"broken: {one_line(error)}"
    words = done.stdout.decode(errors="replace").split()
    return words[2] if words[1:2] == ["version"] and len(words) > 2 else "unknown"


def nearest_folder(path: Path) -> Path:
    """The folder above a path that is there."""
    return next(folder for folder in path.absolute().parents if folder.is_dir())


def look_at_state(path: Path, *, ours: bool) -> Found:
    """`path`, `exists`, `bytes`, `writable`, `check`, `fatal`, `predictions` and `runs`.

    `check` is "ok", what is wrong with the file, or None where there is none. `fatal`: a run does
    not begin; without it, one puts a damaged file aside. `ours` as of `Database`.
    """
    path = Path(os.path.realpath(path))
    folder = nearest_folder(path)
    exists = path.exists()
    # A parent that is a file is no place for a folder.
    places = [folder, *([path] if exists else [])]
    writable = all(os.access(place, os.W_OK) for place in places)
    blocked = not exists and any(p.exists() and not p.is_dir() for p in path.parents)
    found: Found = {"path": str(path), "exists": exists, "bytes": None, "check": None}
    found |= {"writable": writable and not blocked, "fatal": False, "predictions": None}
    found |= {"runs": None}
    if not exists:
        return found
    try:
        found["bytes"] = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(100)
        if header:
            owner = header[APPLICATION_AT : APPLICATION_AT + 4]
            ours = ours or owner == APPLICATION.to_bytes(4, "big")
            found |= _check(path) if header.startswith(MAGIC) else {"check": "it is no database"}
            found["fatal"] = found["fatal"] or (found["check"] != "ok" and not ours)
    except OSError as error:
        found |= {"check": one_line(error), "fatal": True}
    return found


def _check(path: Path) -> Found:
    """Open a database without changing it; its log, where one is left, is read as well."""
    # Without a log SQLite would make one, and its index, even to read.
    mode = "mode=ro" if Path(f"{path}-wal").exists() else "mode=ro&immutable=1"
    try:
        address = f"file:{quote(os.fsencode(path))}?{mode}"
        with closing(sqlite3.connect(address, uri=True)) as database:
            ask = database.execute
            check = ask("PRAGMA quick_check(1)").fetchone()[0].splitlines()[-1]
            if check != "ok":
                return {"check": check}
            owner, version, tables = ask(
                "SELECT * FROM pragma_application_id, pragma_user_version, "
                "(SELECT count(*) FROM sqlite_master)"
            ).fetchone()
            if owner != APPLICATION and (tables or owner):
                return {"check": "it is the database of another program", "fatal": True}
            if version > VERSION:
                return {"check": "a newer version of tag-genres made it", "fatal": True}
            found: Found = {"check": "ok"}
            if version:
                for table in ("predictions", "runs"):
                    found[table] = ask(f"SELECT count(*) FROM {table}").fetchone()[0]
            return found
    except sqlite3.Error as error:
        return {"check": str(error), "fatal": isinstance(error, sqlite3.OperationalError)}
