"""Tests of the parts of this machine: packages, device, decoders, programs.

Whatever may crash or hang runs in a separate process. Nothing is changed or downloaded.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from pathlib import Path

from tagger.app.diagnosis import Container, Device, Gpu, Package
from tagger.errors import TaggerError, library_message, one_line
from tagger.files.process import Child
from tagger.models.device import count_cores

SAMPLES = Path(__file__).with_name("samples")  # examples/make_samples.py makes them
TONE = 1000  # Hz, in each of them
MIN_TONE_SHARE = 0.9  # of the energy; lossy encoders leave 0.99 of it
LEVELS = (0.1, 0.4)  # range of the root mean square; 0.21 was encoded
DECODERS = ("soundfile", "PyAV", "pydub")  # `decoders.DECODERS`, whose module needs numpy
NO_SAMPLE = ("ape", "musepack 7", "tak")  # readable containers for which we have no encoder
PACKAGES = ("transformers", "numpy", "pandas", "mutagen", "soxr", "safetensors", "huggingface_hub",
            "soundfile", "av", "pydub")  # fmt: skip
PROGRAMS = ("ffmpeg", "ffprobe")
MAX_CHILDREN = 8
DEVICE_SECONDS, PACKAGE_SECONDS, SAMPLE_SECONDS, PROGRAM_SECONDS = 120, 60, 20, 10
# Prints the answer on the last line: libraries may print before it.
DEVICE_SCRIPT = """
import dataclasses, json, sys
sys.path[:] = {path}
from tagger.app import probes
print("\\n" + json.dumps(dataclasses.asdict(probes.look_at_device({device!r}, {precision!r}))))
"""


def try_packages() -> Iterator[tuple[str, Package]]:
    """Each of `PACKAGES`, imported in a child process."""
    with closing(Child()) as child:
        for name in PACKAGES:
            try:
                yield name, child.call(PACKAGE_SECONDS, import_package, name)
            except Exception as error:  # whatever a broken package raises
                yield name, Package(error=describe(error))


def import_package(name: str) -> Package:
    """The versions of a package and of its C library. Raises whatever its import raises."""
    module = import_module(name)
    library = ""
    if name == "soundfile":
        library = f"libsndfile {module.__libsndfile_version__}"
    elif name == "av":
        library = f"FFmpeg {module.ffmpeg_version_info}"
    return Package(metadata.version(name), library)


def try_device(
    device: str = "auto", precision: str = "auto", *, seconds: float = DEVICE_SECONDS
) -> Device:
    """What `look_at_device` finds in a separate process, or why that process gave no answer.

    Unlike a `Child`, the process has no memory limit, since CUDA needs a lot.
    """
    path = ascii([os.path.abspath(folder) for folder in sys.path])
    script = DEVICE_SCRIPT.format(path=path, device=device, precision=precision)
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        output, noise = process.communicate(timeout=seconds)
        answer = json.loads(output.splitlines()[-1])
        gpus = tuple(Gpu(**gpu) for gpu in answer.pop("gpus"))
        return Device(**answer, gpus=gpus)
    except subprocess.TimeoutExpired:
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # a broken driver may block it for ever
            process.communicate(timeout=1)
        return Device(error=f"no answer after {seconds:g} s")
    except (ValueError, IndexError):
        how = f"exit code {process.returncode}"
        with suppress(ValueError):
            how = signal.Signals(-process.returncode).name
        last = noise.decode(errors="replace").strip().rpartition("\n")[2]
        return Device(error=f"the process that tried it ended ({how}) {last}".rstrip())


def look_at_device(device: str = "auto", precision: str = "auto") -> Device:
    """Where a run with these options would compute; runs in this process and imports torch."""
    try:
        import torch

        from tagger.models import device as devices
    except Exception as error:
        return Device(error=f"torch cannot be imported: {describe(error)}")
    found = Device(torch=str(torch.__version__), cuda_build=torch.version.cuda)
    try:
        found = replace(found, name=None if device == "auto" else device)
        works, trouble = devices.look_for_cuda()
        found = replace(found, trouble=trouble)
        chosen = devices.choose_device(device)
        reason = "set in the config file"
        if device == "auto":
            reason = _why_device(chosen.type, trouble)
        found = replace(found, name=str(chosen), reason=reason)
        gpus = map(torch.cuda.get_device_properties, range(torch.cuda.device_count() * works))
        found = replace(found, gpus=tuple(Gpu(gpu.name, gpu.total_memory) for gpu in gpus))
        number = str(devices.choose_precision(precision, chosen)).removeprefix("torch.")
        if precision == "auto":
            reason = _why_precision(chosen.type, devices.fast_bfloat16(chosen))
        found = replace(found, precision=number, precision_reason=reason)
        devices.try_device(chosen)
    except Exception as error:  # whatever driver and libraries raise
        found = replace(found, error=describe(error))
    return found


def _why_device(kind: str, trouble: str) -> str:
    if kind != "cpu":
        return "torch can use it"
    if trouble:
        return "torch cannot use the GPU"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    no_gpu = "torch finds no GPU"
    return no_gpu if hidden is None else f"{no_gpu}; CUDA_VISIBLE_DEVICES is {hidden!r}"


def _why_precision(kind: str, fast: str) -> str:
    if fast:
        return f"{fast} multiplies bfloat16 fast"
    if kind == "cpu":
        return "the CPU has neither AMX nor AVX512-BF16"
    return "bfloat16 is not known to be fast there"


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sample and the decoder to read it with."""

    sample: Path
    decoder: str


def try_containers() -> dict[str, Container]:
    """For each container, by name, which decoders can read its sample.

    The last decoder starts a program several times for each sample; it is only tried on those that
    no other reads, as in a run, and where it fails at once because there is no such program.
    """
    samples = sorted(SAMPLES.glob("*"))
    *quick, last = DECODERS
    reasons = _attempted([Attempt(sample, decoder) for decoder in quick for sample in samples])
    unread = [s for s in samples if all(reasons[Attempt(s, decoder)] for decoder in quick)]
    missing = not all(map(shutil.which, PROGRAMS))
    reasons |= _attempted([Attempt(sample, last) for sample in (samples if missing else unread)])
    containers = dict.fromkeys(NO_SAMPLE, Container())
    for sample in samples:
        row = {decoder: reasons.get(Attempt(sample, decoder)) for decoder in DECODERS}
        used = next((decoder for decoder, reason in row.items() if reason == ""), None)
        containers[sample.stem] = Container(used, row)
    return dict(sorted(containers.items()))


def _attempted(attempts: Sequence[Attempt]) -> dict[Attempt, str]:
    parts = min(MAX_CHILDREN, count_cores())
    with ThreadPoolExecutor(parts) as threads:
        answers = threads.map(try_samples, (attempts[part::parts] for part in range(parts)))
        return {attempt: reason for part in answers for attempt, reason in part.items()}


def try_samples(attempts: Sequence[Attempt]) -> dict[Attempt, str]:
    """Make each attempt in a child process; the results are "", or why it failed."""
    reasons: dict[Attempt, str] = {}
    if not attempts:
        return reasons
    with closing(Child()) as child:
        for attempt in attempts:
            try:
                reasons[attempt] = child.call(
                    SAMPLE_SECONDS, check_sample, attempt.sample, attempt.decoder
                )
            except Exception as error:  # also if a package cannot be imported
                reasons[attempt] = describe(error)
    return reasons


def check_sample(path: Path, decoder: str) -> str:
    """Decode a sample: "" if it is the tone, else what it is instead."""
    import numpy as np

    from tagger.audio.decoders import DECODERS
    from tagger.audio.mixing import to_mono

    with closing(DECODERS[decoder](path)) as source:
        samples = to_mono(source.read(0, source.length))
    edge = len(samples) // 4  # encoders pad both ends with silence
    middle = samples[edge : len(samples) - edge].astype(float)  # (n,)
    if not len(middle):
        return "it finds no audio in it"
    energy = float((middle**2).sum())
    wave = np.exp(2j * np.pi * TONE / source.rate * np.arange(len(middle)))  # (n,)
    share = 2 * abs((middle * wave).sum()) ** 2 / len(middle) / max(energy, 1e-12)
    level = (energy / len(middle)) ** 0.5
    if share > MIN_TONE_SHARE and LEVELS[0] < level < LEVELS[1]:
        return ""
    return f"it decodes to another sound ({share:.0%} of it the tone, level {level:.3f})"


def describe(error: Exception) -> str:
    """An error on one line, with its type first unless it is ours or a C library's."""
    text, kind = one_line(error, 500), type(error).__name__
    if isinstance(error, TaggerError | OSError) or library_message(error) or text == kind:
        return text
    return f"{kind}: {text}"


def program_version(name: str) -> str | None:
    """The version that one of FFmpeg's programs prints; None if it is not on the PATH."""
    path = shutil.which(name)
    if path is None:
        return None
    try:
        command = [path, "-version"]
        done = subprocess.run(command, capture_output=True, timeout=PROGRAM_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return f"broken: {describe(error)}"
    words = done.stdout.decode(errors="replace").split()
    return words[2] if words[1:2] == ["version"] and len(words) > 2 else "unknown"
