"""Whatever names, tags, labels and cells contain, no terminal obeys it, and a report keeps it.

SECURITY.md says what is trusted and what is not.
"""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import shutil
import subprocess
import unicodedata
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner
from helpers.clips import write_clips
from helpers.command import LIBRARY, SCRIPT, environment, run_command
from helpers.known import know, song, state_of
from helpers.runs import TINY, run_finetune
from hypothesis import given
from hypothesis import strategies as st
from mutagen.flac import FLAC

from tagger.app.summary import Summary
from tagger.app.tag import Explanation
from tagger.cli.messages import diff_lines, explanation_lines, outcome_line, summary_lines
from tagger.cli.tag import main
from tagger.report.escape import LONGEST, plain_text, printable
from tagger.tags.genre_tag import read_genres
from tagger.types import Action, Outcome, Prediction, Track

ESCAPES = {
    "clears the screen": "\x1b[2J\x1b[H",
    "names the window": "\x1b]0;owned\x07",
    "is a link": "\x1b]8;;http://x.invalid\x1b\\click\x1b]8;;\x1b\\",
    "fills the clipboard": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "is a C1 sequence": "\x9b2J",
    "returns": "real\rfake",
    "breaks the line": "one\ntag-genres: all is well",
    "breaks the line in Unicode": "one\u2028two\u2029three\x85four",
    "goes back": "real\b\b\b\bfake",
    "is a tab": "\t=1+1",
}
ODD = {
    "turns the text": "\u202egpj.exe\u202c",
    "isolates": "\u2067abc\u2069 \u2066def",
    "cannot be seen": "Ro\u200bck\ufeff\u2060",
    "is HTML": "<script>alert(1)<﹤script>&amp;",
    "is a formula": "=HYPERLINK(1)",
    "is a wide formula": "\uff1dHYPERLINK(1)",
    "is a formula behind a semicolon": "x;=1+1;@x",
    "looks escaped": "\\x1b[2J \\u202e",
    "is Zalgo": "R" + "\u0301\u0316" * 40,
    "is Arabic": "موسيقى عربية",
    "is Hebrew": "מוזיקה",
    "is an emoji": "\U0001f469\u200d\U0001f680 \U0001f3f3\ufe0f\u200d\U0001f308",
}
TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
COLOURS = re.compile("\x1b\\[[0-9;]*m")
ANY_TEXT = st.text(st.characters(exclude_categories=()))


def obeyed(output: str) -> set[str]:
    """The characters that a terminal does not show as text, by Unicode, not by our own list."""
    return {
        character
        for character in set(output) - {"\n"}
        if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in TURNING
    }


def harmless(*arguments: object, home: Path) -> tuple[int, str]:
    """Run the command; its exit code and all that it printed, which must be harmless."""
    done = run_command(*arguments, cwd=home, env=environment(home))
    output = done.stdout + done.stderr  # decoded strictly: no stray bytes either
    assert not obeyed(output), output
    assert "Traceback" not in output
    return done.returncode, output


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home, with music whose names and genres are the above, and a file that is not music.

    For tests that write nothing but reports.
    """
    home = tmp_path_factory.mktemp("home")
    paths = []
    for number, text in enumerate(
        [*ESCAPES.values(), *ODD.values(), "x" * 1_000_000, "\udcff\udc9b"]
    ):
        name = f"{text.replace('/', '|')[:60]}{number}"
        path = song(home / "music" / f"{name[:20]}" / f"{name}.flac")
        tag = FLAC(path)
        tag["genre"] = [text.encode("utf-8", "replace").decode(), "Polka"]
        tag.save()
        paths.append(path)
    know(home, paths)
    (home / "music" / f"{ESCAPES['clears the screen']}\nbroken.mp3").write_bytes(b"no music")
    return home


@pytest.fixture
def home(library: Path, tmp_path: Path) -> Path:
    """A copy, with the times of the files, by which their predictions are known."""
    copied = Path(shutil.copytree(library, tmp_path / "home", copy_function=shutil.copy2))
    know(copied, (copied / "music").glob("*/*.flac"))
    return copied


# --- the terminal ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--verbose"],
        ["--dry-run", "--on-existing", "replace"],
        ["--explain", "--on-existing", "append"],
        ["--csv", "-"],
        ["--by", "folder", "--verbose", "--protect", ESCAPES["clears the screen"]],
    ],
    ids=" ".join,
)
def test_what_a_run_prints_is_harmless(library: Path, options: list[str]) -> None:
    code, output = harmless(library / "music", *options, home=library)
    assert code == 3  # one file is not music
    assert "broken.mp3" in output


def test_what_writing_and_undoing_print_is_harmless(home: Path) -> None:
    replacing = ("--write-tags", "--on-existing", "replace", "--verbose")
    _, output = harmless(home / "music", *replacing, home=home)
    assert "written" in output
    for arguments in (["undo", "--list"], ["undo", "--dry-run"], ["undo", "--verbose"]):
        code, _ = harmless(*arguments, home=home)
        assert code == 0


def test_a_terminal_gets_no_codes_but_our_own(library: Path) -> None:
    parent, child = pty.openpty()
    words = [os.fsencode(library / "music"), "--dry-run", "--on-existing", "replace"]
    with subprocess.Popen(
        [*SCRIPT, *words], stdout=child, stderr=child, cwd=library, env=environment(library)
    ) as process:
        os.close(child)
        output = b""
        while block := _read(parent):
            output += block
    assert process.returncode == 3
    shown = COLOURS.sub("", output.decode("utf-8")).replace("\x1b[K", "")  # the bar's: to the end
    assert "\x1b[31m" in output.decode("utf-8")
    assert obeyed(shown) <= {"\r"}  # the bar's, and the terminal's own at the end of a line


def _read(parent: int) -> bytes:
    try:
        return os.read(parent, 1 << 16)
    except OSError:  # how Linux reports the end
        return b""


@pytest.mark.parametrize(
    "arguments",
    [
        ["{}"],
        ["music", "--{}"],
        ["music", "--device", "{}"],
        ["music", "--top", "{}"],
        ["music", "--model", "{}"],
        ["music", "--state", "{}/x"],
        ["music", "--csv", "{}/genres.csv"],
        ["music", "--config", "{}"],
        ["music", "--aliases", "{}"],
        ["music", "--quiet={}"],
        ["undo", "{}"],
        ["apply", "{}"],
        ["apply", "a", "{}"],
    ],
    ids=" ".join,
)
def test_errors_of_usage_are_harmless(tmp_path: Path, arguments: list[str]) -> None:
    """In this process, which is faster."""
    (tmp_path / "music").mkdir()
    words = [word.format("".join(ESCAPES.values())) for word in arguments]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for name, value in environment(tmp_path).items():
            patch.setenv(name, value)
        done = CliRunner().invoke(main, words)
    assert done.exit_code in (1, 2)
    assert not obeyed(done.output), done.output


@pytest.mark.parametrize(
    "line",
    [
        '"{}" = 1',
        'on-existing = "{}"',
        'top = "{}"',
        'whitelist = "{}"',
        'aliases = {{Rock = ["/({}/"]}}',
        'aliases = {{Rock = ["{}"], Pop = ["{}"]}}',
        'quiet = "{}"',
        'model = "{}"',
    ],
)
def test_errors_in_a_config_are_harmless(tmp_path: Path, line: str) -> None:
    config = tmp_path / "\x1b[2Jconfig.toml"
    config.write_text(
        line.replace("{}", r"\u001b[2J\u202e\n").replace("{{", "{").replace("}}", "}")
    )
    code, output = harmless(LIBRARY, "--config", config, home=tmp_path)
    assert code in (1, 2)
    assert "x1b" in output


def outcome_of(text: str, action: Action) -> Outcome:
    path = Path(f"/music/{text}")
    prediction = Prediction(Track(path, 1, 1), (text, "b"), (0.75, 0.25), 1.0, 1, 1.0)
    return Outcome(path, action, text, prediction, (text, "x"), (text,), ((text, 0.75),))


@given(ANY_TEXT, st.sampled_from(Action))
def test_lines_about_a_track_are_harmless_whatever_it_holds(text: str, action: Action) -> None:
    outcome = outcome_of(text, action)
    summary = Summary(1, Path(text), Counter({action: 1}), Counter({text: 1}))
    summary.add(outcome)
    lines = [
        outcome_line(outcome),
        *diff_lines(outcome),
        *explanation_lines(Explanation(outcome, text, (text,))),
        *map(printable, summary_lines(summary, Path(text))),
    ]
    for line in lines:
        assert "\n" not in line
        assert not obeyed(COLOURS.sub("", line))


@pytest.mark.parametrize("action", Action)
def test_an_absurdly_long_value_is_cut_on_the_terminal(action: Action) -> None:
    outcome = outcome_of("x" * 1_000_000, action)
    lines = [outcome_line(outcome), *diff_lines(outcome), *explanation_lines(Explanation(outcome))]
    assert max(map(len, lines)) < 2 * LONGEST
    assert any("…" in line for line in lines)


@pytest.mark.parametrize("kind", ["is Zalgo", "is Arabic", "is Hebrew", "is an emoji"])
def test_what_is_only_unusual_is_shown_as_it_is(kind: str) -> None:
    assert printable(ODD[kind]) == ODD[kind]


# --- the report and the log -----------------------------------------------------------------------


def test_the_report_gives_every_name_and_genre_back(library: Path) -> None:
    harmless(library / "music", home=library)
    csv.field_size_limit(1 << 24)
    with (library / "genres.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {plain_text(row["path"]): row for row in csv.DictReader(file)}
    paths = [path for path in (library / "music").rglob("*") if path.is_file()]
    assert rows.keys() == set(map(str, paths))
    for path in (library / "music").glob("*/*.flac"):
        genres = plain_text(rows[str(path)]["existing_genre"])
        assert genres == "; ".join(read_genres(path))


def test_no_cell_of_the_report_is_a_formula_by_any_separator(library: Path) -> None:
    harmless(library / "music", home=library)
    text = (library / "genres.csv").read_text(encoding="utf-8-sig")
    assert not obeyed(text)
    cells = re.split("[;,\t\n]", text)
    assert not [cell for cell in cells if re.match('"* ?[=+\\-@\uff1d\uff0b\uff0d\uff20]', cell)]


def test_an_entry_of_the_log_is_one_harmless_line(home: Path) -> None:
    harmless(home / "music", home=home)
    log = Path(f"{state_of(home)}.log").read_text(encoding="utf-8")
    assert "broken.mp3" in log
    assert not obeyed(log)
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in log.splitlines())


def test_an_edited_report_is_answered_harmlessly(home: Path) -> None:
    paths = sorted((home / "music").glob("*/*.flac"))
    cells = [*ESCAPES.values(), *ODD.values(), r"\x1b[2J\x00", r"\ud800", "x" * 10_000]
    rows = [*zip(map(str, paths), cells, strict=False)]
    rows += [(f"/none/{cell}", "Rock") for cell in (*ESCAPES.values(), *ODD.values(), "y" * 10_000)]
    with (home / "edited.csv").open("w", encoding="utf-8", errors="replace", newline="") as file:
        csv.writer(file).writerows([("path", "genre"), *rows])
    for options in (["--dry-run"], ["--verbose"]):
        code, output = harmless("apply", "edited.csv", *options, home=home)
        assert code == 3
        assert "failed" in output


# --- a checkpoint ---------------------------------------------------------------------------------


def with_labels(model: Path, folder: Path, *labels: str) -> Path:
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = dict(enumerate(labels))
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_odd_labels_and_names_of_a_checkpoint_are_harmless(
    tiny_model: Path, tmp_path: Path
) -> None:
    names = [ODD[kind] for kind in ("turns the text", "is HTML", "is a formula", "is Zalgo")]
    model = with_labels(tiny_model, tmp_path / "\x1b[2J\nmodel", *names)
    music = Path(shutil.copytree(LIBRARY, tmp_path / "music"))
    options = ("--model", model, "--write-tags", "--verbose", "--all-probabilities", "--csv", "-")
    assert harmless(music, *options, home=tmp_path)[0] == 0
    assert "x1b" in harmless("undo", "--list", home=tmp_path)[1]


@pytest.mark.parametrize("label", [*ESCAPES.values(), "\ud800"])
def test_a_label_that_is_unsafe_in_a_tag_is_refused_harmlessly(
    tiny_model: Path, tmp_path: Path, label: str
) -> None:
    if label == ESCAPES["breaks the line in Unicode"]:
        label = label.replace("\u2028", "\x1b")
    model = with_labels(tiny_model, tmp_path / "model", label, "b", "c", "d")
    code, output = harmless(LIBRARY, "--model", model, home=tmp_path)
    assert code == 1
    # White space around a label is no part of it.
    assert ("cannot be a label" if label == label.strip() else "names no genre") in output


def test_names_of_weights_are_harmless(tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    weights = load_file(model / "model.safetensors")
    weights["\x1b[2J\u202eowned"] = weights.pop("classifier.dense.bias")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    code, output = harmless(LIBRARY, "--model", model, home=tmp_path)
    assert code == 1
    assert "owned" in output


def test_names_of_what_a_pickle_would_call_are_harmless(tiny_model: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (model / "model.safetensors").unlink()
    with zipfile.ZipFile(model / "pytorch_model.bin", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02c\x1b[2J\x07\nowned\n)R.")
        archive.writestr("archive/data/0", bytes(200_000))  # else it is too small for its config
    code, output = harmless(LIBRARY, "--model", model, home=tmp_path)
    assert code == 1
    assert "owned" in output


# --- training -------------------------------------------------------------------------------------


def test_a_training_run_on_odd_labels_is_harmless(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data")
    (data / "noise").rename(data / f"<script>{ODD['turns the text']}")
    (data / "tone").rename(data / ODD["is a formula"])
    out = tmp_path / "\u202eout"
    done = run_finetune("--data", data, "--out", out, *TINY, "--steps", 2)
    assert done.exit_code == 0, done.output
    assert not obeyed(done.output.replace("\r", ""))  # the bar's
    card = (out / "README.md").read_text(encoding="utf-8")
    assert not obeyed(card)
    assert "<script" not in re.sub("(?m)^    .*", "", card)  # indented lines are code
    assert (out / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8"))


def test_a_label_that_is_unsafe_in_a_tag_is_not_learned(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data")
    (data / "noise").rename(data / ESCAPES["clears the screen"])
    done = run_finetune("--data", data, "--out", tmp_path / "out", *TINY)
    assert done.exit_code == 1
    assert "cannot be a label" in done.output
    assert not obeyed(done.output)


def test_names_of_clips_that_are_not_text_are_harmless(tmp_path: Path) -> None:
    data = write_clips(tmp_path / "data")
    for number, path in enumerate(sorted(data.glob("*/*.wav"))):
        text = [*ESCAPES.values()][number]
        path.rename(path.with_name(f"{text.replace('/', '|')}\udcff{path.name}"))
    (data / "tone" / "\x1b[2J\udcff.wav").write_bytes(b"no music")
    done = run_finetune("--data", data, "--out", tmp_path / "out", *TINY, "--steps", 2)
    assert done.exit_code == 0, done.output
    assert not obeyed(done.output.replace("\r", ""))  # the bar's
    again = run_finetune("--data", data, "--out", tmp_path / "out\udcff\x1b[2J", *TINY)
    assert again.exit_code == 1
    assert "is not UTF-8" in again.output
    assert not obeyed(again.output)
