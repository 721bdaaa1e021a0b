"""What the command line takes, prints and returns; what it does is in test_end_to_end."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import mutagen
import pytest
from click.testing import CliRunner
from helpers.command import LIBRARY, SCRIPT, Run, environment
from helpers.known import JAZZ, ROCK, know, rows_of, song, state_of

from tagger.app import undo
from tagger.app.summary import Summary
from tagger.cli.console import Console
from tagger.cli.messages import summary_lines
from tagger.cli.tag import main
from tagger.errors import StateError
from tagger.tags.genre_tag import read_genres
from tagger.types import Action, Outcome


def test_help_imports_nothing_heavy() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "tagger", "--help"]
    trace = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    imported = {line.split("|")[-1].strip().split(".")[0] for line in trace.splitlines()}
    assert "click" in imported
    assert not imported & {"torch", "transformers", "pandas", "numpy", "av", "soundfile", "mutagen"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--windows", "0", "x"],
        ["--windows", "some", "x"],
        ["--top", "0", "x"],
        ["--min-confidence", "1.5", "x"],
        ["--min-confidence", "nan", "x"],
        ["--device", "tpu", "x"],
        ["--on-existing", "erase", "x"],
        ["--no-such-option", "x"],
        ["undo", "--run", "last"],
        ["--skip", "m4b", "x"],
        ["--skip", "*.m4b", "x"],
        ["--only-missing", "--on-existing", "append", "x"],
        ["--only-missing", "--on-existing", "replace-own", "x"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_what_cannot_be_done_is_one_line_and_exit_code_1(
    invoke: Run, tmp_path: Path, tiny_model: Path
) -> None:
    empty, newer, damaged = (tmp_path / name for name in ("empty", "newer.db", "damaged.db"))
    empty.mkdir()
    with sqlite3.connect(newer) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    damaged.write_text("no database")
    bert = tmp_path / "bert"
    bert.mkdir()
    (bert / "config.json").write_text('{"architectures": ["BertModel"]}')
    wanted = {
        (empty,): "no audio file in it",
        (tmp_path / "typo",): "no such file or folder",
        (LIBRARY, "--csv", "song.mp3"): "--csv",
        (LIBRARY, "--model", "no-such-model"): "`tag-genres models` lists (gtzan-small,",
        (LIBRARY, "--model", empty): "config.json is missing",
        (LIBRARY, "--model", bert): "not an AST audio classifier",
        (LIBRARY, "--model", "someone/some-model"): "give a folder",
        (LIBRARY, "--model", tiny_model, "--state", newer): "upgrade",
        (LIBRARY, "--model", tiny_model, "--state", damaged): "name another with --state",
        (LIBRARY, "--model", tiny_model, "--csv", empty / "no" / "genres.csv"): "--csv",
        (LIBRARY, "--model", tiny_model, "--device", "cuda"): "use --device cpu",
        ("undo",): "nothing to undo",
        ("undo", "--run", 7): "no run 7",
    }
    for arguments, message in wanted.items():
        if "cuda" in arguments and _has_cuda():
            continue
        done = invoke(*arguments, *([] if arguments[0] == "undo" else ["--quiet"]))
        assert done.returncode == 1, (arguments, done.stderr)
        assert message in done.stderr
        assert done.stderr.startswith("tag-genres: ") and done.stderr.count("\n") == 1, done.stderr
        assert done.stdout == ""
    assert damaged.read_text() == "no database"


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def test_stdout_holds_only_the_report_and_quiet_prints_nothing(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    song = shutil.copy(LIBRARY / "02 Quiet Fugue.flac", tmp_path)
    done = run(song, "--model", tiny_model, "--csv", "-", "--quiet")
    assert done.returncode == 0
    assert done.stdout.startswith("path,genre,") and done.stdout.count("\n") == 2
    assert done.stderr == ""


def test_verbose_has_a_line_for_every_track(run: Run, tiny_model: Path) -> None:
    done = run(LIBRARY, "--model", tiny_model, "--verbose")
    for path in LIBRARY.iterdir():
        assert f"predicted: {path}" in done.stderr


def predicted(path: str, genre: str = "", reason: str = "") -> Outcome:
    ranked = ((genre, 0.612),) if genre else ()
    return Outcome(Path(path), Action.PREDICTED, reason, ranked=ranked)


def test_verbose_prints_a_prediction_before_the_next_one_comes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcomes = [
        predicted("/m/a.mp3", "Rock"),
        predicted("/m/\x1b[2J", reason="broken\n"),
        predicted("/m/c"),
    ]
    lines = [
        "new prediction: /m/a.mp3: Rock 0.61",
        r"new prediction: /m/\x1b[2J: broken\x0a",
        "new prediction: /m/c: no genre",
    ]
    console = Console(verbose=True)
    shown = console.bar(outcomes, len(lines), "predicting", lambda outcome: outcome)
    for line, outcome in zip(lines, outcomes, strict=True):
        assert next(shown) == outcome
        assert capsys.readouterr() == ("", f"{line}\n")


def test_what_has_a_genre_is_left_out_with_only_missing(invoke: Run, home: Path) -> None:
    music = home.parent / "Music"
    polka = song(music / "polka.flac", "Polka")  # without a known prediction
    done = invoke(music, "--only-missing", "--csv", "-")
    assert done.returncode == 0, done.stderr
    row = rows_of(done.stdout)[polka.name]
    assert (row["action"], row["existing_genre"]) == ("kept", "Polka")
    configure(home, "only-missing = true\n")
    assert rows_of(invoke(music, "--csv", "-").stdout)[polka.name] == row


def test_messages_do_not_pass_terminal_escapes_on(invoke: Run, tmp_path: Path) -> None:
    evil = tmp_path / "\x1b[2J\x1b]0;owned\x07.mp3"
    evil.write_text("no music")
    done = invoke(evil, "--csv", "-")
    assert done.returncode == 3
    assert "\x1b" not in done.stderr + done.stdout
    assert r"\x1b[2J" in done.stderr and r"\x1b[2J" in done.stdout


@pytest.mark.parametrize("error", [None, StateError("damaged"), KeyboardInterrupt(), ValueError()])
def test_the_handler_of_sigterm_is_restored_when_a_command_ends(
    error: BaseException | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def listed(*_: object) -> list[object]:
        with pytest.raises(KeyboardInterrupt):  # SIGTERM ends a command as Ctrl-C does
            signal.raise_signal(signal.SIGTERM)
        if error:
            raise error
        return []

    monkeypatch.setattr(undo, "list_runs", listed)
    before = signal.getsignal(signal.SIGTERM)
    assert before is not signal.default_int_handler
    done = CliRunner().invoke(main, ["undo", "--list", "--state", "s.db"])
    assert signal.getsignal(signal.SIGTERM) is before
    codes = {type(None): 0, StateError: 1, KeyboardInterrupt: 130, ValueError: 1}
    assert done.exit_code == codes[type(error)]


def test_the_summary_counts_names_failures_and_says_how_to_undo() -> None:
    summary = Summary(run=14)
    summary.actions.update({Action.WRITTEN: 1402, Action.KEPT: 3, Action.FAILED: 7})
    summary.genres.update({"Rock": 612, "Jazz": 311, "Blues": 204, "Pop": 5, "Metal": 1})
    summary.failures += [Outcome(Path("/music/a.mp3"), Action.FAILED, "truncated")] * 5
    lines = list(summary_lines(summary, Path("genres.csv")))
    assert "predicted genres: Rock 612 · Jazz 311 · Blues 204 · 2 more" in lines
    assert lines[0] == "written 1,402 · kept 3 · failed 7"
    assert "failed: /music/a.mp3: truncated" in lines
    assert "failed: 2 more (see `reason` in genres.csv)" in lines
    assert lines[-1] == "undo with: tag-genres undo --run 14"
    summary.state = Path("/tmp/my state.db")
    assert summary.how_to_undo.endswith("--run 14 --state '/tmp/my state.db'")


def test_what_was_written_before_the_report_failed_can_be_undone(
    run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    song = shutil.copy(LIBRARY / "02 Quiet Fugue.flac", tmp_path)
    options = ("--model", tiny_model, "--write-tags", "--min-confidence", 0, "--csv", "/dev/full")
    done = run(song, *options)
    assert done.returncode == 1 and "--csv" in done.stderr
    assert "undo with: tag-genres undo --run 1" in done.stderr
    assert run("undo").returncode == 0
    again = run("undo", "--run", 1)
    assert again.returncode == 1 and "nothing to undo" in again.stderr
    assert run("undo", "--run", 2).returncode == 0  # that was the undo itself


# --- a config file --------------------------------------------------------------------------------


@pytest.fixture
def home(invoke: Run, tmp_path: Path) -> Path:
    """Where `run` runs; it has a library with a track without a genre and one with Polka."""
    paths = [song(tmp_path / "Music" / "a.flac"), song(tmp_path / "Music" / "b.flac", "Polka")]
    home = tmp_path / "home"
    know(home, paths, ROCK)
    return home


def configure(home: Path, text: str, **files: str) -> Path:
    """The config file that is read where none is named, and files beside it."""
    folder = home / "config" / "tag-genres"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {"config.toml": text, **files}.items():
        (folder / name.replace("_", ".")).write_text(content, encoding="utf-8")
    return folder / "config.toml"


def planned(invoke: Run, home: Path, *options: object) -> list[str]:
    """The genres that a dry run plans for the two tracks."""
    done = invoke(home.parent / "Music", "--dry-run", "--csv", "-", *options)
    assert done.returncode == 0, done.stderr
    rows = rows_of(done.stdout)
    return [rows["a.flac"]["new_genre"], rows["b.flac"]["new_genre"]]


def test_the_config_in_the_users_folder_sets_defaults(invoke: Run, home: Path) -> None:
    configure(home, 'on-existing = "append"\ntop = 2\nmin-confidence = 0.6\nwindows = "auto"\n')
    assert planned(invoke, home) == ["Rock; Metal", "Polka; Rock; Metal"]


def test_the_command_line_wins_over_the_config(invoke: Run, home: Path) -> None:
    configure(home, 'on-existing = "append"\ntop = 2\nprotect = ["Polka"]\n')
    options = ("--on-existing", "replace", "--top", 1, "--protect", "Ska")
    assert planned(invoke, home, *options) == ["Rock", "Rock"]


def test_a_config_that_is_named_takes_the_place_of_the_users(invoke: Run, home: Path) -> None:
    configure(home, "top = 3\nratio = 0\n")
    (home / "other.toml").write_text("top = 2\n")
    assert planned(invoke, home, "--config", "other.toml") == ["Rock; Metal", "Polka"]


def test_rules_may_be_in_the_config_itself(invoke: Run, home: Path) -> None:
    configure(
        home,
        'whitelist = ["Prog", "Loud"]\ntop = 2\n[aliases]\nProg = "rock"\n'
        '[tree]\nLoud = ["Metal"]\n',
    )
    assert planned(invoke, home) == ["Prog; Loud", "Polka"]


def test_files_of_rules_lie_beside_the_config(invoke: Run, home: Path) -> None:
    text = 'aliases = "a.toml"\nwhitelist = "w.txt"\ntree = "t.yaml"\ntop = 2\n'
    files = {"a_toml": 'Prog = "rock"', "w_txt": "Prog\nLoud", "t_yaml": "- Loud:\n  - Metal\n"}
    configure(home, text, **files)
    assert planned(invoke, home) == ["Prog; Loud", "Polka"]


def test_one_protected_genre_needs_no_list(invoke: Run, home: Path) -> None:
    configure(home, 'protect = "polka"\non-existing = "replace"\n')
    assert planned(invoke, home) == ["Rock", "Polka"]


def test_undo_and_apply_use_the_state_of_the_config(invoke: Run, home: Path) -> None:
    own = shutil.move(state_of(home), home / "own.db")
    configure(home, f'state = "{own}"\ntop = 2\ncsv = "r.csv"\n')
    assert invoke(home.parent / "Music", "--write-tags").returncode == 0
    assert (home / "r.csv").exists() and not state_of(home).exists()
    report = (home / "r.csv").read_text("utf-8-sig").replace("a.flac,Rock,", "a.flac,Bop,")
    (home / "r.csv").write_text(report)
    assert invoke("apply", "r.csv").returncode == 0
    assert "2 files" not in invoke("undo", "--list").stdout
    undone = invoke("undo")
    assert "run 2: put back the genre of 1 file" in undone.stderr, undone.stderr
    assert read_genres(home.parent / "Music" / "a.flac") == ("Rock", "Metal")


def test_undo_takes_no_option_of_a_single_run_from_a_config(invoke: Run, home: Path) -> None:
    music = home.parent / "Music"
    for options in (["--on-existing", "append"], ["--on-existing", "replace"]):
        assert invoke(music, "--write-tags", *options).returncode == 0
    configure(home, 'runs = 1\nlisting = true\npaths = ["/elsewhere"]\nold_place = "/a"\n')
    refused = invoke("undo")
    assert refused.returncode == 2 and "write old-place, not old_place" in refused.stderr
    configure(home, 'runs = 1\nlisting = true\npaths = ["/elsewhere"]\n')
    assert "run 2: put back" in invoke("undo").stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("top = \n", "config.toml:1:7: not valid TOML"),
        ("minconfidence = 1\n", "there is no option minconfidence; did you mean min-confidence?"),
        ("min_confidence = 1\n", "write min-confidence, not min_confidence"),
        ("write-tags = true\n", "write-tags cannot be set in a config file"),
        ("dry-run = true\n", "dry-run cannot be set in a config file"),
        ("version = true\n", "there is no option version"),
        ('paths = "/music"\n', "there is no option paths"),
        ("speed = true\n", "known: on-existing, only-missing, skip, protect, min-confidence,"),
        ('min-confidence = "high"\n', "'high' is not a valid float"),
        ("min-confidence = nan\n", "--min-confidence': not a number"),
        ("min-confidence = [0.5]\n", "min-confidence must be a string or a number, not [0.5]"),
        ("top = 1.5\n", "'1.5' is not a valid integer"),
        ("csv = true\n", "csv must be a string or a number, not True"),
        ('quiet = "no"\n', "quiet must be true or false, not 'no'"),
        ("protect = [true]\n", "protect must be a string or a number, not [True]"),
        ("state = {}\n", "state must be a string or a number"),
        ('on-existing = "erase"\n', "'erase' is not one of"),
        ('aliases = "no.toml"\n', "no.toml' cannot be read (No such file"),
        ('[aliases]\nRock = ["/(/"]\n', "'/(/' is not a regular expression"),
        ("whitelist = [1]\n", "1 is not the name of a genre"),
    ],
)
def test_a_wrong_config_is_one_line_and_exit_code_2(
    invoke: Run, home: Path, text: str, message: str
) -> None:
    configure(home, text)
    done = invoke(home.parent / "Music", "--csv", "-")
    assert done.returncode == 2, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: ") and message in last
    assert re.match(r"Error: .*/config\.toml:[12]:", last)
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_a_config_given_by_name_must_exist(invoke: Run, home: Path) -> None:
    done = invoke(home.parent / "Music", "--config", "none.toml")
    assert done.returncode == 2 and "'none.toml' cannot be read" in done.stderr


# --- why a track gets what it gets ----------------------------------------------------------------


def test_explain_shows_scores_each_rule_and_the_result(invoke: Run, home: Path) -> None:
    (home / "w.txt").write_text("Rock\nPop\n")
    (home / "t.toml").write_text('Rock = ["Metal"]\n')
    options = ("--whitelist", "w.txt", "--tree", "t.toml", "--top", 2, "--protect", "polka")
    done = invoke(home.parent / "Music", "--explain", *options)
    assert done.returncode == 0, done.stderr
    a, b = (home.parent / "Music" / name for name in ("a.flac", "b.flac"))
    assert (
        done.stdout
        == f"""{a}
  tag:    (no genre)
  labels: rock 0.60 · metal 0.35 · pop 0.05
  genres: Rock 0.95 · Pop 0.05
  rule:   on-existing: it has no genre
  rule:   whitelist: Rock is on it
  rule:   whitelist: Metal is not on it; its parent Rock is
  rule:   min-confidence: Rock at 0.95 reaches 0.5
  rule:   ratio: Pop at 0.05 is below 0.5 of the best, 0.95
  result: would write Rock
{b}
  tag:    Polka
  labels: rock 0.60 · metal 0.35 · pop 0.05
  genres: Rock 0.95 · Pop 0.05
  rule:   protect: it has Polka
  result: kept: it has Polka, which is protected
"""
    )


def test_explain_touches_no_file_and_no_report(invoke: Run, home: Path) -> None:
    music = home.parent / "Music"
    (home / "genres.csv").write_text("mine")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in music.iterdir()}
    assert invoke(music, "--explain", "--write-tags", "--on-existing", "replace").returncode == 0
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in music.iterdir()} == before
    assert (home / "genres.csv").read_text() == "mine"
    assert "nothing to undo" in invoke("undo").stderr


def test_explain_names_files_that_fail_and_ends_with_3(invoke: Run, home: Path) -> None:
    music = home.parent / "Music"
    (music / "c.flac").symlink_to("gone.flac")
    done = invoke(music / "a.flac", music / "c.flac", "--explain")
    assert done.returncode == 3, done.stderr
    assert "result: would write Rock" in done.stdout
    assert f"{music / 'c.flac'}\n  result: failed: " in done.stdout


def test_explain_names_the_album_whose_mean_the_scores_are(invoke: Run, home: Path) -> None:
    music = home.parent / "Music"
    know(home, [music / "b.flac"], JAZZ)
    done = invoke(music, "--explain", "--by", "album", "--min-confidence", 0.4)
    assert done.stdout.count("(mean of 2 tracks of its folder)") == 2
    assert done.stdout.count("genres: Jazz 0.40 · Rock 0.30") == 2
    assert "result: would write Jazz" in done.stdout


# --- what would change ----------------------------------------------------------------------------


def test_a_dry_run_shows_path_before_after_confidence_and_reason(invoke: Run, home: Path) -> None:
    done = invoke(home.parent / "Music", "--dry-run", "--on-existing", "append")
    a, b = (home.parent / "Music" / name for name in ("a.flac", "b.flac"))
    assert done.stdout == (
        f"{a}\n+ Rock   0.60  it has no genre\n"
        f"{b}\n- Polka\n+ Polka; Rock   0.60  added to Polka, as Polka; Rock\n"
    )
    assert "would write 2" in done.stderr and "undo with" not in done.stderr
    rows = rows_of((home / "genres.csv").read_text())
    assert [rows[name]["new_genre"] for name in ("a.flac", "b.flac")] == ["Rock", "Polka; Rock"]


def test_with_the_report_on_stdout_a_dry_run_shows_nothing_else_there(
    invoke: Run, home: Path
) -> None:
    done = invoke(home.parent / "Music", "--dry-run", "--csv", "-")
    assert done.stdout.startswith("path,genre,")
    assert len(done.stdout.splitlines()) == 3


def test_a_dry_run_shows_unchanged_tracks_only_on_request(invoke: Run, home: Path) -> None:
    music = home.parent / "Music"
    assert "b.flac" not in invoke(music, "--dry-run").stdout
    printed = invoke(music, "--dry-run", "--verbose").stdout
    assert f"{music / 'b.flac'}\n  Polka   kept: it already has a genre\n" in printed


def test_a_dry_run_names_files_that_cannot_be_written(invoke: Run, home: Path) -> None:
    music = home.parent / "Music"
    os.link(music / "a.flac", home / "other.flac")
    done = invoke(music, "--dry-run")
    assert done.returncode == 3
    assert f"{music / 'a.flac'}\n  failed: hard-linked: 1 other name" in done.stdout


def test_dry_runs_of_undo_and_apply_show_the_same_and_change_nothing(
    invoke: Run, home: Path
) -> None:
    music = home.parent / "Music"
    assert invoke(music, "--write-tags", "--on-existing", "replace").returncode == 0
    before = {path: path.read_bytes() for path in music.iterdir()}
    undo = invoke("undo", "--dry-run")
    assert undo.returncode == 0
    assert undo.stdout == (
        f"{music / 'b.flac'}\n- Rock\n+ Polka\n{music / 'a.flac'}\n- Rock\n+ (no genre)\n"
    )
    (home / "e.csv").write_text(f"path,genre\n{music / 'a.flac'},Bop; Swing\n")
    apply = invoke("apply", "e.csv", "--dry-run")
    assert apply.returncode == 0
    assert apply.stdout == f"{music / 'a.flac'}\n- Rock\n+ Bop; Swing\n"
    assert {path: path.read_bytes() for path in music.iterdir()} == before
    assert invoke("undo", "--list").stdout.count("\n") == 2  # the head, and the first run


def test_a_reader_that_has_seen_enough_of_a_dry_run_does_not_end_it(run: Run, home: Path) -> None:
    music = home.parent / "Music"
    with subprocess.Popen(
        [*SCRIPT, str(music), "--dry-run", "--on-existing", "replace"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=home,
        env=environment(home),
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        messages = process.stderr.read()
    assert process.returncode == 0, messages
    assert "would write 2" in messages
    assert rows_of((home / "genres.csv").read_text()).keys() == {"a.flac", "b.flac"}


# --- on a terminal --------------------------------------------------------------------------------


def on_a_terminal(home: Path, *arguments: object) -> str:
    """All that the console script sends to a terminal of 120 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    process = subprocess.Popen(
        [*SCRIPT, *map(str, arguments)],
        stdout=theirs,
        stderr=theirs,
        cwd=home,
        env={**environment(home), "TERM": "xterm"},
    )
    os.close(theirs)
    sent = b""
    with suppress(OSError):  # how Linux says that the other side has closed it
        while part := os.read(ours, 65536):
            sent += part
    os.close(ours)
    assert process.wait(60) == 0, sent
    return sent.decode()


def seen(sent: str) -> list[str]:
    """The lines that stand on the terminal in the end, without their colours."""
    lines = []
    for line in re.sub(r"\x1b\[\d*m", "", sent).replace("\r\n", "\n").split("\n"):
        shown = ""
        for part in line.split("\r"):
            text, *after = part.split("\x1b[K")  # which erases to the end of the line
            shown = text + "".join(after) if after else text + shown[len(text) :]
        lines.append(shown.rstrip())
    return lines


def test_the_diff_is_coloured_only_on_a_terminal(run: Run, home: Path) -> None:
    arguments = (home.parent / "Music", "--dry-run", "--on-existing", "replace")
    sent = on_a_terminal(home, *arguments)
    assert "\x1b[31m- Polka\x1b[0m" in sent and "\x1b[32m+ Rock\x1b[0m" in sent
    assert "\x1b" not in run(*arguments).stdout


def test_the_diff_and_the_bar_do_not_tear_each_other(run: Run, home: Path) -> None:
    music = home.parent / "Music"
    paths = [Path(shutil.copy(music / "a.flac", music / f"c{n}.flac")) for n in range(20)]
    know(home, paths, ROCK)
    sent = on_a_terminal(home, music, "--dry-run")
    assert "reporting:" in sent  # there was a bar
    lines = seen(sent)
    assert not [line for line in lines if "reporting" in line or "scanning" in line]
    assert lines.count(music.name) == 1  # the heading of all of them
    for path in paths:
        assert f"  {path.name}  + Rock  0.60" in lines
    assert "it has no genre" not in sent


def test_terminal_escapes_of_names_and_tags_are_shown_harmlessly(invoke: Run, home: Path) -> None:
    music = home.parent / "Music"
    evil = song(music / "\x1b[2J\n\u202egnp.flac")
    media = mutagen.File(evil)
    media["genre"] = ["\x1b]0;owned\x07Polka\x9b2J"]
    media.save()
    know(home, [evil], ROCK)
    replace = ("--on-existing", "replace")
    sheet = home / "\x1b[2J.csv"
    sheet.write_text(f"path,genre\n{music / 'a.flac'},Bop\n")
    shown = [
        invoke(music, "--dry-run", *replace),
        invoke(music, "--explain", *replace),
        invoke(music, "--write-tags", "--verbose", *replace),
        invoke("undo", "--dry-run"),
        invoke("undo", "--verbose"),
        invoke("apply", sheet, "--verbose"),
        invoke("undo", "--list"),
    ]
    for done in shown:
        assert done.returncode == 0, done.stderr
        printed = done.stdout + done.stderr
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", printed), repr(printed)
    assert r"- \x1b]0;owned\x07Polka\u009b2J" in shown[0].stdout
    assert r"tag:    \x1b]0;owned" in shown[1].stdout
    assert r"\x1b[2J\x0a\u202egnp.flac: Rock" in shown[2].stderr
    assert r"\x1b[2J.csv" in shown[-1].stdout


def test_an_undo_that_removes_a_genre_says_so(invoke: Run, home: Path) -> None:
    music = home.parent / "Music"
    assert invoke(music, "--write-tags").returncode == 0
    assert f"written: {music / 'a.flac'}: (no genre)" in invoke("undo", "--verbose").stderr
