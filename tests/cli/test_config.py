"""`config init`, `show` and `check`; a run, the check and `doctor` agree about each config file."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
from helpers.command import ROOT, Run, environment
from helpers.known import ROCK, know, song
from helpers.probed import CONTAINERS, CPU, packages, pretend
from helpers.terminal import open_terminal
from rich.cells import cell_len

from tagger.app import probes
from tagger.app.statements import tomllib
from tagger.cli.config import check
from tagger.cli.config_template import RULES, template
from tagger.cli.configurable import all_options
from tagger.cli.sections import SECTIONS
from tagger.cli.tag import main

SETTING = re.compile(r"^#([a-z0-9-]+) = ", re.MULTILINE)


@pytest.fixture
def home(tmp_path: Path, invoke: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a song whose prediction is known; probes of the machine find no fault."""
    monkeypatch.delenv("TAG_GENRES_MODEL", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(probes, "try_packages", packages)
    monkeypatch.setattr(probes, "try_containers", lambda: CONTAINERS)
    monkeypatch.setattr(probes, "try_device", lambda device, precision: CPU)
    know(tmp_path / "home", [song(tmp_path / "Music" / "a.flac")], ROCK)
    return tmp_path / "home"


def usual(home: Path) -> Path:
    return home / "config" / "tag-genres" / "config.toml"


def configure(home: Path, content: str | bytes) -> Path:
    path = usual(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    for name, text in {
        "w.txt": "Rock\n",
        "t.yaml": "- Rock:\n  - Metal\n",
        "bad.toml": "a = ",
    }.items():
        (path.parent / name).write_text(text)
    return path


# --- one verdict --------------------------------------------------------------------------------

# A config, and the lines of its faults, each with a part of its message.
FAULTY: dict[str, list[tuple[int, str]]] = {
    "minconfidence = 1": [(1, "did you mean min-confidence?")],
    "\n\nmin_confidence = 1": [(3, "write min-confidence, not min_confidence")],
    "colour = 1": [(1, "there is no option colour; did you mean color?")],
    "nothing-like-it = 1": [(1, "there is no option nothing-like-it; known: on-existing,")],
    "paths = ['/music']": [(1, "there is no option paths")],
    "version = true": [(1, "there is no option version")],
    "write-tags = true\ndry_run = true": [(1, "write-tags cannot"), (2, "dry-run cannot be")],
    "all = true\nrun = 3": [(1, "all cannot be set in"), (2, "run cannot be set in")],
    'top = "two"': [(1, "Invalid value for '--top': 'two' is not a valid integer")],
    "top = 0": [(1, "0 is not in the range x>=1")],
    "top = 1.5": [(1, "'1.5' is not a valid integer")],
    "top = true": [(1, "top must be a string or a number, not True")],
    "ratio = 1.5\nmin-confidence = nan": [(1, "1.5 is not in the range"), (2, "not a number")],
    'quiet = "no"': [(1, "quiet must be true or false, not 'no'")],
    "csv = 5": [(1, "csv must be a string, the path of a file, not 5")],
    "state = {}": [(1, "state must be a string or a number, not {}")],
    'on-existing = "erase"\nby = "year"': [(1, "'erase' is not one"), (2, "'year' is not one of")],
    'windows = "some"': [(1, "'some' is not a positive number")],
    'skip = ["m4b"]': [(1, "'m4b' is not a genre; for a suffix write .m4b")],
    'exclude = ["!"]': [(1, "--exclude")],
    'id3v23-join = "x"\ncharset = "no"': [(1, "must be nul"), (2, "'no' is not a code page")],
    'separators = "a"': [(1, "--separators")],
    'encoding = "no"': [(1, "'no' is not an encoding")],
    'whitelist = "no.txt"': [(1, "no.txt' cannot be read (No such file")],
    '# whitelist = 1\nwhitelist = [\n "Rock",\n 1]': [(2, "1 is not the name of a genre")],
    'aliases = "bad.toml"': [(1, "bad.toml is not valid TOML")],
    'tree = "bad.toml"\nlabels = "no.txt"': [(1, "bad.toml is not valid"), (2, "no.txt' does not")],
    'tree = "~nobody-of-this-name/x"': [(1, "names an unknown home folder")],
    '[aliases]\nRock = ["Punk"]\n"Jazz" = "/(/"\n': [(3, "'/(/' is not a regular expression")],
    'aliases.Rock = "Punk"\naliases.Pop = ["punk"]': [(2, "is an alias of both 'Rock' and 'Pop'")],
    '[tree]\nRock = ["Metal"]\n\n# x\nPop = [\n"Metal"]': [(5, "'Metal' is listed under 'Rock'")],
    '[tree]\nRock = ["Metal"]\nMetal = ["Rock"]': [(3, "a circle")],
    "with-parents = true": [(1, "--with-parents needs --tree, which defines the parents")],
    'on-existing = "replace"\nonly-missing = true': [(2, "--only-missing works only with")],
    "labels = 'w.txt'": [(1, "--labels needs one --model, whose outputs it names")],
    "model = ['gtzan-small', 'x']\nlabels = 'w.txt'": [(1, "no model 'x'"), (2, "--labels needs")],
    "model = './nowhere'": [(1, "no model './nowhere': use one that")],
    "model = 'someone/some-model'": [(1, "HF_HUB_OFFLINE")],
    "model = []": [(1, "name at least one")],
    "model = 'gtzan-small'\nlabels = 'two.txt'": [(2, "has 2 names, and gtzan-small has 10")],
    'csv = "no/genres.csv"': [(1, "cannot be written (no such folder")],
    'csv = "a.mp3"\nxlsx = "b.txt"': [(1, "suffix of a music file"), (2, "name of a workbook")],
    'playlists = "file/x"': [(1, "cannot be written (Not a directory)")],
    'state = "/etc/passwd"': [(1, "/etc/passwd")],
    'log = "no/log"': [(1, "there is no folder")],
    "top = ": [(1, "not valid TOML: Invalid value")],
    "top": [(1, "not valid TOML: Expected '=' after a key")],
    'top = 1\n"top" = 2': [(2, "not valid TOML: top is set a second time")],
    "[tree]\n[tree]": [(2, "not valid TOML: tree is set a second time")],
    "top = [\nratio = 1": [(2, "not valid TOML")],
    "top = 'two'\nratio\nby = 'year'\nnope = 1": [
        (1, "'two' is not a valid"), (2, "not valid TOML"), (3, "'year'"), (4, "no option nope"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("text", FAULTY)
def test_a_run_the_check_and_doctor_find_the_same_faults(
    invoke: Run, home: Path, text: str
) -> None:
    path = configure(home, text)
    (home / "file").touch()
    (path.parent / "two.txt").write_text("Rock\nPop\n")
    *faults, verdict = invoke("config", "check").stdout.splitlines()
    assert verdict == f"{path}: {len(faults)} fault{'s' * (len(faults) > 1)}"
    assert invoke("config", "check").returncode == 1
    places = [re.match(rf"{path}:(\d+)(:\d+)?: (.*)", fault) for fault in faults]
    assert [int(place[1]) for place in places if place] == [line for line, _ in FAULTY[text]]
    for fault, (_, message) in zip(faults, FAULTY[text], strict=True):
        assert message in fault
    run = invoke(home.parent / "Music")
    assert run.returncode in (1, 2)
    said = run.stderr.splitlines()[-1].removeprefix("Error: ").removeprefix("tag-genres: ")
    place = re.match(rf"{path}:(\d+)", said)
    assert place and int(place[1]) in [line for line, _ in FAULTY[text]], said
    doctor = invoke("doctor")
    assert doctor.returncode == 1
    broken = [line for line in doctor.stdout.splitlines() if line.startswith("broken: ")]
    assert len(broken) == len(faults), broken
    for _, message in FAULTY[text]:
        assert any(message in line for line in broken)


ODD = [
    '"\\u0000"', '["\\u0000"]', "inf", "2020-01-01", "[[1]]", "{a = 1}", f'"{"y" * 5000}"',
    '"new/x"', '""',
]  # fmt: skip


@pytest.mark.parametrize("value", ODD, ids=lambda value: value[:12])
def test_no_value_of_any_option_divides_them(invoke: Run, home: Path, value: str) -> None:
    """The check and a run agree whatever an option is set to, and nothing is a traceback."""
    for key in all_options(main):
        path = configure(home, f"{key} = {value}\n")
        checked = invoke("config", "check")
        run = invoke(home.parent / "Music")
        assert checked.returncode == (1 if run.returncode else 0), (key, run.stderr)
        assert bool(checked.returncode) == (f"{path}:1: " in run.stderr), (key, run.stderr)
        if checked.returncode:
            assert checked.stdout.startswith(f"{path}:1: "), checked.stdout


FINE = [
    "",
    "# top = 'two'\n",
    "top = 2\r\nratio = 1\r\n",
    "\ufefftop = 2\n",
    '"top" = 2',
    "encoding = 'cp1251'",
    "id3 = 2.3\nwindows = 4\nskip = 'Polka'",
    'whitelist = "w.txt"\ntree = "t.yaml"\nwith-parents = true',
    'tree = "t.yaml"',
    "tree = {}\nwith-parents = true",
    "csv = '-'\nmodel = ['gtzan-small', 'bundled']",
    'min-confidence = ""\nlabels = ""\nstate = ""\nlog = ""\ncharset = ""\nworkers = ""\nxlsx = ""',
    "playlists = 'new/folder'",
]


@pytest.mark.parametrize("text", FINE)
def test_where_a_run_works_the_check_and_doctor_find_no_fault(
    invoke: Run, home: Path, text: str
) -> None:
    path = configure(home, text)
    done = invoke("config", "check")
    assert (done.returncode, done.stdout) == (0, f"{path}: no fault\n")
    assert not (home / "new").exists()
    doctor = invoke("doctor")
    assert doctor.returncode == 0 and doctor.stdout.endswith("a run would work\n")
    assert invoke(home.parent / "Music").returncode == 0


def test_a_file_that_cannot_be_read_stops_all_of_them(invoke: Run, home: Path) -> None:
    path = configure(home, b"top = 2\n# \xff\n")
    cases = {"is not UTF-8 text": lambda: None}
    cases["Is a directory"] = lambda: (path.unlink(), path.mkdir())
    cases["No such file"] = lambda: (path.rmdir(), path.symlink_to(home / "nowhere"))
    cases["cannot be read"] = lambda: (path.unlink(), path.symlink_to(path))
    for message, change in cases.items():
        change()
        for arguments, code in {
            ("config", "check"): 1, ("config", "show"): 1, ("doctor",): 1,
            (home.parent / "Music",): 2, ("undo",): 2,
        }.items():  # fmt: skip
            done = invoke(*arguments)
            assert done.returncode == code, (message, arguments, done.stdout, done.stderr)
            assert message in done.stdout + done.stderr and str(path) in done.stdout + done.stderr
    for option in ("no.toml", home):
        named = invoke("config", "check", "--config", option)
        assert named.returncode == 1 and f"'{option}' cannot be read" in named.stdout


def test_a_model_that_would_be_downloaded_is_no_fault(
    invoke: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    path = configure(home, "model = 'someone/some-model'")
    done = invoke("config", "check")
    assert done.returncode == 0, done.stdout
    missing = "model someone/some-model is not on disk; a run would download it"
    assert done.stdout.splitlines() == [missing, f"{path}: no fault"]


def test_what_is_typed_takes_the_place_of_a_faulty_value(invoke: Run, home: Path) -> None:
    configure(home, 'whitelist = "no.txt"\nby = "year"\ncsv = "no/genres.csv"')
    options = ("--by", "track", "--csv", "genres.csv")
    assert "config.toml:1: " in invoke(home.parent / "Music", *options).stderr
    (home / "w.txt").write_text("Rock\n")
    assert invoke(home.parent / "Music", *options, "--whitelist", "w.txt").returncode == 0


def test_a_typed_option_is_not_blamed_on_the_file(invoke: Run, home: Path) -> None:
    configure(home, "top = 2\ncsv = 'other.csv'\n")
    for options in (("--top", "two"), ("--csv", "no/genres.csv"), ("--with-parents",)):
        assert "config.toml:" not in invoke(home.parent / "Music", *options).stderr


def test_the_other_commands_need_only_their_own_options(invoke: Run, home: Path) -> None:
    configure(home, 'whitelist = "no.txt"\ntop = "two"\n')
    assert invoke("undo", "--list").returncode == 0
    path = configure(home, "# x\nquiet = 3\n")
    assert f"{path}:2: quiet must be true or false" in invoke("undo", "--list").stderr


# --- init ---------------------------------------------------------------------------------------


def test_init_writes_every_option_with_its_default(invoke: Run, home: Path) -> None:
    done = invoke("config", "init")
    text = usual(home).read_text("utf-8")
    assert done.returncode == 0 and str(usual(home)) in done.stdout
    assert sorted(SETTING.findall(text)) == sorted(all_options(main))
    headings = [line for line in text.splitlines() if line.startswith("# --- ")]
    assert [h for h in SECTIONS if any(f"# --- {h} -" in line for line in headings)] == [
        h.strip("# -") for h in headings if h.strip("# -") in SECTIONS
    ]
    for key, option in all_options(main).items():
        about = " ".join(text.split(f"\n#{key} = ")[0].split("\n\n")[-1].split())
        assert " ".join((option.help or "").split())[:50] in about.replace("# ", "")


def test_init_leaves_a_file_that_is_there(invoke: Run, home: Path) -> None:
    path = configure(home, "top = 2\n")
    done = invoke("config", "init")
    assert done.returncode == 1 and path.read_text() == "top = 2\n"
    assert f"{path} exists, and is left as it is" in done.stderr
    named = invoke("config", "init", "--config", "new/here.toml")
    assert named.returncode == 0 and "config check --config new/here.toml" in named.stdout
    assert (home / "new" / "here.toml").read_text("utf-8") == template(main)


def test_what_init_writes_is_valid_line_by_line_and_all_at_once(home: Path, tmp_path: Path) -> None:
    written, path = template(main), tmp_path / "c.toml"

    def faults(text: str) -> tuple[object, ...]:
        path.write_text(text, encoding="utf-8")
        return check(main, path).faults

    assert not faults(written) and tomllib.loads(written) == {}
    lines = written.splitlines()
    for number, line in enumerate(lines):
        bare = line.removeprefix("#").lstrip()
        if SETTING.match(line):
            assert not faults("\n".join([*lines[:number], bare, *lines[number + 1 :]])), line
        elif bare and not bare.startswith("#"):
            with pytest.raises(tomllib.TOMLDecodeError):
                tomllib.loads(bare)  # a line of text does not look like a setting
    default, uncommented = check(main, None).context.params, SETTING.sub(r"\1 = ", written)
    assert not faults(uncommented)
    after = check(main, path).context.params
    empty = {"tree": {}, "whitelist": (), "aliases": {}}
    assert {k: v for k, v in after.items() if v != default[k]} == empty


def test_the_rules_in_the_text_are_rules(home: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("\n".join(f"{k} = {v}" for k, v in RULES.items()))
    checked = check(main, tmp_path / "c.toml")
    assert not checked.faults and checked.right == {*RULES}


def test_the_example_is_valid_and_its_keys_are_those_of_init(home: Path, tmp_path: Path) -> None:
    text = (ROOT / "examples" / "config.toml").read_text("utf-8")
    for content in (text, re.sub(r"^# ([a-z0-9-]+ = )", r"\1", text, flags=re.MULTILINE)):
        (tmp_path / "c.toml").write_text(content)
        (tmp_path / "labels.txt").write_text("Rock\nPop\n")
        checked = check(main, tmp_path / "c.toml")
        assert [str(fault) for fault in checked.faults] == []
    assert {*tomllib.loads(content)} <= {*SETTING.findall(template(main))}


# --- show ---------------------------------------------------------------------------------------


def test_show_says_what_differs_and_where_it_is_set(
    invoke: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert "every option has its default" in invoke("config", "show").stdout
    path = configure(home, '# x\ntop = 3\nratio = 0.5\nskip = [\n"A", "B"]\n\nmodel = "audioset"\n')
    rows = invoke("config", "show").stdout.splitlines()
    assert rows[0].split(maxsplit=2)[2] == f"{path} (in your config folder)"
    assert [row.split(maxsplit=3) for row in rows[1:]] == [
        ["skip", "line", "4", '["A", "B"]'], ["top", "line", "2", "3"],
        ["model", "line", "7", '"audioset"'],
    ]  # fmt: skip
    monkeypatch.setenv("TAG_GENRES_MODEL", "gtzan")
    monkeypatch.setenv("NO_COLOR", "1")
    shown = json.loads(invoke("config", "show", "--json").stdout)
    assert shown["options"]["model"]["value"] == ["gtzan"]
    assert shown["options"]["model"]["source"] == "TAG_GENRES_MODEL"
    assert shown["options"]["top"] == {
        "value": 3, "source": "config file", "line": 2, "differs": True,
    }  # fmt: skip
    assert shown["environment"] == {"NO_COLOR": "1"}
    assert shown["config"]["path"] == str(path) and not shown["config"]["named"]
    every = json.loads(invoke("config", "show", "--json", "--all").stdout)
    assert {*every["options"]} == {*all_options(main)}
    assert every["options"]["ratio"]["line"] == 3 and not every["options"]["ratio"]["differs"]
    assert every["options"]["by"]["source"] == "default"


def test_show_says_what_a_default_is_that_no_value_stands_for(invoke: Run) -> None:
    said = invoke("config", "show", "--all").stdout.splitlines()
    (floor,) = (line for line in said if line.startswith("min-confidence "))
    assert floor.split(maxsplit=2)[1:2] == ["default"] and "0.5; 0.1 if" in floor
    found = json.loads(invoke("config", "show", "--all", "--json").stdout)
    assert found["options"]["min-confidence"]["value"] is None


def test_show_says_which_of_two_files_counts(invoke: Run, home: Path) -> None:
    path = configure(home, "top = 3\n")
    (home / "own.toml").write_text("top = 4\n")
    rows = invoke("config", "show", "--config", "own.toml").stdout
    assert "own.toml (--config)" in rows and f"{path}, because --config names another" in rows
    shown = json.loads(invoke("config", "show", "--json", "--config", "own.toml").stdout)
    assert shown["config"]["not_read"] == str(path)
    assert shown["options"]["top"]["value"] == 4


def test_json_has_no_number_that_other_programs_refuse(home: Path, invoke: Run) -> None:
    configure(home, "skip = inf\nprotect = [nan, 'Jazz']\n")
    shown = json.loads(invoke("config", "show", "--json").stdout, parse_constant=pytest.fail)
    assert shown["options"]["protect"]["value"] == [None, "Jazz"]
    assert shown["options"]["skip"]["value"] is None


@pytest.mark.skipif(sys.platform == "win32", reason="a name there is text")
@pytest.mark.parametrize("command", [("config", "show"), ("doctor",)])
def test_json_is_ascii_that_every_program_takes(
    home: Path, invoke: Run, command: tuple[str, ...]
) -> None:
    path = home / os.fsdecode(b"caf\xe9 \x7f.toml")
    path.write_text("")
    text = invoke(*command, "--json", "--config", str(path)).stdout
    assert text.isascii() and "\x7f" not in text and "\\udc" not in text
    assert json.loads(text)["config"]["path"] == str(home / "caf\ufffd \x7f.toml")


def test_show_says_that_a_run_would_refuse_the_file(invoke: Run, home: Path) -> None:
    path = configure(home, "top = 'two'\nratio = 1\n")
    done = invoke("config", "show")
    assert done.returncode == 1 and "ratio" in done.stdout and "top" not in done.stdout
    assert f"{path}:1: " in done.stderr and "a run would refuse this file" in done.stderr


@pytest.mark.parametrize("columns", [50, 80])
def test_the_table_fits_a_terminal(
    invoke: Run, home: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    from tagger.cli import config_show, rows

    monkeypatch.setattr(rows, "can_redraw", lambda stream: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    configure(home, f'skip = {json.dumps(["Audiobook", "Podcast"] * 9)}\nlog = "{"l" * 90}"\n')
    assert config_show.terminal_width() == columns
    lines = invoke("config", "show", "--all").stdout.splitlines()
    assert max(map(cell_len, lines)) <= columns
    assert "".join(lines).count("l") > 90  # nothing is cut off
    assert max(map(cell_len, invoke("doctor").stdout.splitlines())) <= columns


@pytest.mark.parametrize("columns", [50, 80])
def test_doctor_shows_in_a_terminal_what_it_does(home: Path, columns: int) -> None:
    configure(home, "top = 'two'\nminconfidence = 1\n")
    env = environment(home)
    prepare = partial(pretend, 1.0)
    with open_terminal(
        "doctor", cwd=home, env=env, columns=columns, rows=100, prepare=prepare
    ) as terminal:
        assert terminal.wait() == 1
    assert terminal.widest <= columns and terminal.widest_redrawn < columns
    order = ["tag-genres ", "trying packages", "config file", "pydub", "no GPU", "broken: the"]
    assert [terminal.index(text) for text in order] == sorted(map(terminal.index, order))
    assert terminal.index("pydub") < terminal.index("no GPU")
    assert "trying packages" not in terminal.text and terminal.has_color
    assert "top = " not in terminal.text and "minconfidence" in terminal.text


@pytest.mark.parametrize("columns", [50, 80])
def test_the_table_in_a_terminal_has_colours_and_fits(home: Path, columns: int) -> None:
    configure(home, f"skip = {json.dumps(['Audiobook', '日本語 Podcast'] * 5)}\n")
    env = environment(home)
    for extra, colours in ({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False):
        with open_terminal(
            "config", "show", cwd=home, env=env, columns=columns, extra=extra
        ) as terminal:
            assert terminal.wait() == 0
        assert terminal.has_color is colours
        assert "TERM" in extra or terminal.widest <= columns
        assert "Audiobook" in terminal.text and "line 1" in terminal.text


def test_nothing_in_the_file_reaches_the_terminal_unescaped(invoke: Run, home: Path) -> None:
    configure(home, r'skip = ["\u001b[2J"]' + "\n" + r'"\u001b[31m" = 1' + "\n")
    for command in ("show", "check"):
        done = invoke("config", command)
        assert "\x1b" not in done.stdout + done.stderr
    shutil.rmtree(usual(home).parent)
