"""Every command line in the README and its pages is run, or is listed here with what stands for it.

They run in a home with a small library in `~/Music`, where one run has written tags.
"""

from __future__ import annotations

import configparser
import csv
import re
import shlex
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.clips import write_clips
from helpers.command import LIBRARY, ROOT, environment, run_command
from helpers.hub import Hub, serving
from helpers.pages import PAGES, blocks, command_lines
from helpers.programs import need
from helpers.runs import run_finetune
from helpers.terminal import open_terminal

from tagger.models.presets import PRESETS

CI = (ROOT / ".ci" / "run").read_text("utf-8")
REPORT = "genres.csv"
SURE = ("--min-confidence", "0")  # so that there is something to undo, whatever the model thinks
pytestmark = pytest.mark.timeout(300)  # the first test trains a model and predicts a library


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """What the README's command trains, from a network of random weights instead of the bundled."""
    folder = tmp_path_factory.mktemp("training")
    write_clips(folder / "music-by-genre")
    (command,) = (line for line in command_lines() if "finetune.py --data ~/music" in line)
    command = command.replace("~", str(folder)).replace("my-", f"{folder}/my-")
    _, script, *words = shlex.split(command)
    assert (ROOT / script).exists()
    result = run_finetune(*words, "--model", tiny_model, "--device", "cpu")
    assert result.exit_code == 0, result.output
    return folder / "my-model"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, model: Path) -> tuple[Path, Path]:
    """A home, and a copy of it from which each test restores it."""
    home = tmp_path_factory.mktemp("homes") / "me"
    shutil.copytree(LIBRARY, home / "Music")
    (home / "Music" / "Miles").mkdir()
    shutil.move(home / "Music" / "01 Porch Shuffle.mp3", home / "Music" / "Miles")
    shutil.copy(LIBRARY / "02 Quiet Fugue.flac", home / "Music" / "song.flac")
    for name in ("library", "recordings"):
        shutil.copytree(ROOT / "examples" / name, home / "examples" / name)
    shutil.copy(ROOT / "examples" / "config.toml", home / "examples")
    shutil.copytree(model, home / "my-model")
    shutil.copytree(model.parent / "music-by-genre", home / "music-by-genre")
    (home / "tag-genres").mkdir()
    (home / "list.txt").write_text(f"{home}/Music/song.flac\n")
    done = run_command("Music/Miles", "--write-tags", *SURE, cwd=home, env=environment(home))
    assert done.returncode == 0, done.stderr
    done = run_command("Music", "--write-tags", cwd=home, env=environment(home))
    assert done.returncode == 0, done.stderr
    edit_report(home / REPORT)
    shutil.copytree(home, home.parent / "copy")
    return home, home.parent / "copy"


def edit_report(path: Path) -> None:
    """Give one track another genre, as a person would."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    next(row for row in rows if row["path"].endswith("song.flac"))["genre"] = "Polka"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def home(template: tuple[Path, Path]) -> Path:
    path, copy = template
    shutil.rmtree(path)
    shutil.copytree(copy, path)
    return path


@pytest.fixture(scope="module")
def hub(tiny_model: Path) -> Iterator[Hub]:
    """Serves a tiny model in place of the one that the README downloads."""
    audioset = PRESETS["audioset"]
    with serving(Hub(commit=audioset.revision or "")) as hub:
        hub.add(audioset.repo or "", tiny_model)
        yield hub


def run_ours(command: str, home: Path, hub: Hub) -> None:
    """Run `tag-genres`; `~` is a small library, and what comes from the network is on loopback."""
    command = re.sub(r"^beet ls .* \| (tag-genres .*--from-file) -", r"\1 list.txt", command)
    command = command.replace(" NAME", " audioset")
    if "--from /old/Music" in command:
        (home / "Music").rename(home / "Moved")
        command = command.replace("~/Music", "~/Moved").replace("/old/Music", "~/Music")
    program, *words = shlex.split(re.sub("~|%h", str(home), command))
    assert Path(program).name == "tag-genres"
    run_words(words, home, {"HOME": str(home), "HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0"})


def prints_completion(command: str, home: Path, hub: Hub) -> None:
    """`tests/cli/test_completion.py` completes in the shells."""
    (shell,) = re.findall(r"tag-genres completion (\w+)", command)
    done = run_command("completion", shell, cwd=home, env=environment(home))
    assert done.returncode == 0 and f"{shell} completion for tag-genres" in done.stdout


def answer_questions(command: str, home: Path, hub: Hub) -> None:
    """On a terminal, where the first question is answered by its first genre."""
    _, *words = shlex.split(command.replace("~", str(home)))
    with open_terminal(*words, cwd=home, env=environment(home)) as terminal:
        terminal.wait_for("genre>")
        terminal.send("\r")
        terminal.wait_until(lambda t: t.text.count("genre>") == 2)  # what is typed before is lost
        assert "decided:" in terminal.text
        terminal.send("q\r")
        assert terminal.wait() == 0


def run_words(words: list[str], folder: Path, variables: Mapping[str, str]) -> None:
    """Run the command in a folder, which must succeed."""
    env = {**environment(Path(variables["HOME"])), **variables}
    done = run_command(*words, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def run_in_container(command: str, home: Path, hub: Hub) -> None:
    """What the image runs, with its variables and in its folder, where the folders are mounted."""
    (image,) = blocks("dockerfile")
    assert 'ENTRYPOINT ["tag-genres"]' in image
    options, _, words = command.partition(" tag-genres ")
    places = {name: folder for folder, name in re.findall(r"--volume ~(\S+?):(/\w+)", options)}

    def outside(path: str) -> str:
        return f"{home}{places[path]}" if path in places else path

    variables = dict(re.findall(r"^ENV (\w+)=(\S+)", image, re.MULTILINE))
    (folder,) = re.findall(r"^WORKDIR (\S+)", image, re.MULTILINE)
    env = {"HOME": str(home / "none"), **{name: outside(variables[name]) for name in variables}}
    if "undo" in words:
        writing = [outside("/music"), "-w", "--on-existing", "replace", *SURE]
        run_words(writing, Path(outside(folder)), env)
    run_words([outside(word) for word in shlex.split(words)], Path(outside(folder)), env)
    assert (home / "tag-genres" / REPORT).exists()
    assert (home / "tag-genres" / "tag-genres" / "state.sqlite3").exists()


def run_evaluation(command: str, home: Path, hub: Hub) -> None:
    from training import evaluate

    _, _, *words = shlex.split(command.replace("~", str(home)).replace("my-", f"{home}/my-"))
    result = CliRunner().invoke(evaluate.main, words)
    assert result.exit_code == 0, result.output


def is_run_by_ci(command: str, home: Path, hub: Hub) -> None:
    """`.ci/run` runs the first block behind these headings, as it is written."""
    run = [CI]
    for heading in ("Try it", "Run the tests"):
        assert f'readme_command "{heading}"' in CI
        section = PAGES["README.md"].partition(f"\n## {heading}\n")[2]
        run.append(section.split("```")[1])
    assert any(command in text for text in run)


def has_an_extra(command: str, home: Path, hub: Hub) -> None:
    """Its packages are in setup.cfg; the extra `test`, which CI installs, has them all."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    (extra,) = re.findall(r"\[(\w+)\]", command)
    assert config["options.extras_require"][extra].strip()


def prefers_cpu_wheels(command: str, home: Path, hub: Hub) -> None:
    """With an index like that of PyTorch and one like PyPI, pip takes torch from the first."""
    indexes = {"pypi": ("2.12.0", "2.13.0"), "cpu": ("2.12.0+cpu", "2.13.0+cpu")}
    for index, versions in indexes.items():
        for version in versions:
            empty_wheel(home / index / "torch", "torch", version)
    served = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(home)))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{served.server_port}"
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in command
    constraints = ["-c", str(ROOT / "constraints.txt")] if "-c constraints.txt" in command else []
    options = ["--index-url", f"{address}/pypi/", "--extra-index-url", f"{address}/cpu/"]
    pip = [sys.executable, "-m", "pip", "--isolated", "install", "--dry-run", "--ignore-installed"]
    done = subprocess.run(
        [*pip, "--no-deps", "--no-cache-dir", *constraints, *options, "torch"],
        capture_output=True, text=True, env={"PIP_CONFIG_FILE": "/dev/null", "HOME": str(home)},
    )  # fmt: skip
    served.shutdown()
    served.server_close()
    assert "Would install torch-2.13.0+cpu" in done.stdout, done.stdout + done.stderr


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *values: object) -> None:
        pass


def empty_wheel(folder: Path, name: str, version: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    about = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        wheel.writestr(f"{about}/METADATA", text)
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")


@cache
def site(temporary: Path) -> Path:
    """Where pip has installed the package from a git repository."""
    repository, target = temporary / "repository", temporary / "site"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "tests")
    shutil.copytree(ROOT, repository, ignore=ignored)
    git = ["git", "-C", str(repository), "-c", "user.name=x", "-c", "user.email=x@x"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation"]
    words = [*pip, "--target", str(target), f"git+{repository.as_uri()}"]
    subprocess.run(words, check=True, capture_output=True)
    return target


def is_installed_from_git(command: str, home: Path, hub: Hub) -> None:
    """pipx and uv are no part of the tests: pip installs from a repository as they do."""
    folder = site(home.parent)
    done = subprocess.run(
        [sys.executable, "-m", "tagger", "--help"], cwd=folder, capture_output=True, text=True
    )
    assert "Usage" in done.stdout and (folder / "bin" / "tag-genres").exists()


def makes_an_excerpt(command: str, home: Path, hub: Hub) -> None:
    need("ffmpeg", shutil.which("ffmpeg") is not None)
    recording = next((home / "examples" / "recordings").glob("*.opus"))
    words = shlex.split(command.replace("IN", "in.opus").replace("OUT", "out.opus"))
    shutil.copy(recording, home / "in.opus")
    subprocess.run(words, cwd=home, check=True, capture_output=True)
    assert (home / "out.opus").stat().st_size > 100_000


def makes_a_table_of_json(command: str, home: Path, hub: Hub) -> None:
    need("jq", shutil.which("jq") is not None)
    words = ["Music", "--json", "--quiet"]
    lines = run_command(*words, cwd=home, env=environment(home)).stdout
    done = subprocess.run(shlex.split(command), input=lines, capture_output=True, text=True)
    table = [row.split("\t") for row in done.stdout.splitlines()]
    assert {Path(path).name for path, _ in table} >= {"song.flac", "01 Porch Shuffle.mp3"}


def stands_elsewhere(where: str, command: str, home: Path, hub: Hub) -> None:
    assert (ROOT / where).exists()


Handler = Callable[[str, Path, Hub], None]
elsewhere = partial(partial, stands_elsewhere)
HANDLERS: list[tuple[str, Handler]] = [
    (r"\.venv/bin/pip .*--extra-index-url .*", prefers_cpu_wheels),
    (r"pipx install .*--extra-index-url .*", prefers_cpu_wheels),
    (r"pipx install git\+URL|uv tool install git\+URL.*", is_installed_from_git),
    (r"python3 -m venv .venv|\.venv/bin/(pip|python) .*", is_run_by_ci),
    (r"pip install .*\[\w+\]'", has_an_extra),
    (
        r"python training/(bank|finetune)\.py .* (--bank|--teacher) .*",
        elsewhere("tests/training/app/test_bank.py"),
    ),
    (r"python training/finetune\.py --data .*", lambda *_: None),  # the fixture `model`
    (r"python training/evaluate\.py --data .*", run_evaluation),
    (r"tag-genres apply", lambda *_: None),  # its name
    (r"tag-genres doctor", elsewhere("tests/app/test_doctor.py")),  # which takes seconds
    (r'eval "\$\(.*\)"|tag-genres completion .*', prints_completion),
    (r"tag-genres .*--confirm", answer_questions),
    (r"(\S*/)?tag-genres .*|beet ls .* \| tag-genres .*", run_ours),
    (r"docker run .*", run_in_container),
    (r"ffmpeg .*", makes_an_excerpt),
    (r"man tag-genres", elsewhere("tests/cli/test_manual.py")),
    (r"jq .*", makes_a_table_of_json),
    (r"finetune\.py --help", elsewhere("tests/training/test_finetune.py")),
    (r"python examples/benchmark\.py", elsewhere("tests/examples/test_benchmark.py")),
    (r"python examples/readers\.py", elsewhere("tests/tags/test_readers.py")),
    (r"beet (tag-genres \[query\]|update|write)", elsewhere("tests/integrations/test_beets.py")),
    # Several processes: two on a CPU.
    (r"torchrun .*|accelerate launch", elsewhere("tests/training/app/test_runs.py")),
    # A shell's own; Docker and systemd are not there: what they run is run above.
    (r"source \.venv/bin/activate", lambda *_: None),
    (r"docker build -t tag-genres \.", lambda *_: None),
    (r"systemctl --user enable --now tag-genres\.timer", lambda *_: None),
]


@pytest.mark.parametrize("command", command_lines())
def test_each_command_line_works(command: str, home: Path, hub: Hub) -> None:
    for pattern, handler in HANDLERS:
        if re.fullmatch(pattern, command):
            handler(command, home, hub)
            return
    pytest.fail(f"nothing runs this command line: {command}")


def test_no_handler_is_left_over() -> None:
    for pattern, _ in HANDLERS:
        assert any(re.fullmatch(pattern, command) for command in command_lines()), pattern
