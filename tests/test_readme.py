"""What the README and its pages show is what happens, and every link leads somewhere.

Their command lines are run by `test_readme_commands.py`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.command import ROOT, environment, run_command
from helpers.pages import PAGES, blocks
from helpers.programs import need

from tagger.app.config import COMMAND_LINE_ONLY
from tagger.cli.tag import OTHER_COMMANDS, main
from tagger.report.target import COLUMNS
from tagger.types import Action

README = PAGES["README.md"]
LINKS = sorted(
    (page, link)
    for page, text in PAGES.items()
    for link in re.findall(r"\]\((?!https?://)(.*?)\)", text)
)


def test_the_readme_is_read_in_minutes() -> None:
    assert len(README.splitlines()) <= 300


@pytest.mark.parametrize("transcript", blocks("console"))
def test_the_transcript_is_what_a_person_would_see(tmp_path: Path, transcript: str) -> None:
    for name in ("library", "recordings"):
        shutil.copytree(ROOT / "examples" / name, tmp_path / "examples" / name)
    shutil.copy(ROOT / "examples" / "config.toml", tmp_path / "examples")
    for shown in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        command, _, output = shown.partition("\n")
        words = shlex.split(command)[1:]
        done = run_command(*words, cwd=tmp_path, env=environment(tmp_path), merge=True)
        assert done.returncode == 0, done.stdout
        if "--precision" not in command:  # it depends on the processor; all else does not
            done.stdout = done.stdout.replace("float32", "bfloat16")
        assert done.stdout.replace(str(tmp_path), "/home/me") == output


@pytest.mark.parametrize("text", [*blocks("toml"), (ROOT / "examples/config.toml").read_text()])
def test_a_config_that_is_shown_is_taken(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text, encoding="utf-8")
    context = main.make_context("tag-genres", ["--config", str(config), "/music"])
    assert context.params["top"] == 2
    assert context.params["tree"] and context.params["aliases"] and context.params["whitelist"]


def test_the_bundled_models_figure_is_that_of_its_card() -> None:
    card = PAGES["tagger/checkpoints/gtzan-small/README.md"]
    (accuracy, clips) = re.findall(r"(0\.\d{3}) of (\d+) clips", README)[0]
    assert f"right for {accuracy} of clips" in card and f"n = {clips}" in card


def known_options() -> set[str]:
    commands = [main, *OTHER_COMMANDS.values()]
    for command in commands:  # and theirs, which are put behind them
        commands += getattr(command, "commands", {}).values()
    known = {name for command in commands for p in command.params for name in p.opts}
    scripts = [*(ROOT / "training").rglob("*.py"), *(ROOT / "examples").glob("*.py")]
    code = "\n".join(path.read_text("utf-8") for path in scripts)
    return known | set(re.findall(r'"(--[a-z-]+)"', code))


OPTIONS = sorted(set(re.findall(r"--[a-z][a-z0-9-]+", "\n".join(PAGES.values()))))
OTHERS = {  # of other programs
    *("--help", "--index-url", "--extra-index-url", "--pip-args", "--torch-backend"),  # pip ...
    *("--nproc-per-node", "--user", "--now", "--dist"),  # torchrun, systemctl, pytest
    *("--rm", "--volume", "--network"),  # docker
    "--pretend",  # of the plugin for beets
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_that_is_named_exists(option: str) -> None:
    assert option in known_options() | OTHERS


def test_logrotate_takes_the_rule_for_the_log(tmp_path: Path) -> None:
    logrotate = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")
    need("logrotate", logrotate is not None)
    (rule,) = (block for block in blocks("text") if "missingok" in block)
    (tmp_path / "rule").write_text(rule.replace("/home/me", str(tmp_path)))
    (tmp_path / "genres.log").write_text("written: a.flac\n")
    tmp_path.chmod(0o700)  # it refuses folders where others may write
    done = subprocess.run(
        [str(logrotate), "--force", "--state", tmp_path / "state", tmp_path / "rule"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "genres.log.1.gz").exists() and not (tmp_path / "genres.log").exists()


def test_columns_actions_and_exit_codes_are_all_explained() -> None:
    page = PAGES["tagger/report/README.md"]
    for name in (*COLUMNS, *(action.value for action in Action)):
        assert f"`{name}`" in page
    for code in (0, 1, 2, 3, 130):
        assert f"| {code} |" in page


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_every_link_leads_somewhere(page: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    assert target.exists(), f"{page} links to {link}"
    if anchor:
        assert anchor in anchors(target.read_text("utf-8")), f"{page} links to {link}"


def test_the_readme_links_to_every_page() -> None:
    linked = {link.partition("#")[0] for page, link in LINKS if page == "README.md"}
    assert {page for page in PAGES if page != "README.md"} <= linked


def test_what_only_the_command_line_takes_is_named() -> None:
    section = README.partition("\n## Your own rules\n")[2].partition("\n## ")[0]
    for option in set(COMMAND_LINE_ONLY) - {"config", "null"}:
        assert f"`--{option}`" in section


@pytest.mark.parametrize("code", blocks("python"))
def test_the_code_that_is_shown_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    (tmp_path / "Kind of Blue").mkdir()
    shutil.copy(ROOT / "examples" / "library" / "05 Block Party.opus", tmp_path / "Kind of Blue")
    (tmp_path / "Kind of Blue" / "broken.mp3").write_bytes(b"no music")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    exec(code.replace("~/Music", str(tmp_path)), {})
    failed, predicted = capsys.readouterr().out.splitlines()
    assert "broken.mp3 failed:" in failed or "broken.mp3 failed:" in predicted
    assert "Block Party.opus" in failed + predicted
