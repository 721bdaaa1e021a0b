"""The README and the pages that it links to, and the command lines in them."""

from __future__ import annotations

import re

from helpers.command import ROOT

PACKAGES = ("files", "genres", "inference", "integrations", "models", "report", "tags")
NAMES = [
    "README.md",
    *(
        f"tagger/{package}/README.md"
        for package in ("files", "genres", "inference", "integrations")
    ),
    *(f"tagger/{package}/README.md" for package in ("models", "report", "tags")),
    "tagger/checkpoints/gtzan-small/README.md",
    "training/README.md",
    "examples/recordings/README.md",
]
PAGES = {name: (ROOT / name).read_text("utf-8") for name in NAMES}
PROGRAMS = (
    "tag-genres", "pip", "pipx", "uv", "python", "python3", "beet", "systemctl", "docker", "source",
    "torchrun", "accelerate", "finetune.py", "evaluate.py", "ffmpeg", "jq", "man",
)  # fmt: skip


def blocks(language: str) -> list[str]:
    """The content of each fenced block of this language, in all pages."""
    pattern = rf"^```{language}\n(.*?)^```"
    return [
        b for text in PAGES.values() for b in re.findall(pattern, text, re.DOTALL | re.MULTILINE)
    ]


def command_lines() -> list[str]:
    """Each line of a block for a shell, cron's and systemd's commands, and inline code that is one.

    What is shown in a transcript (`console`) is left out. `.venv/bin/` before a name is kept.
    """
    found = [line for block in blocks("bash") for line in block.splitlines()]
    for block in (*blocks("text"), *blocks("ini")):
        found += re.findall(r"^(?:ExecStart=|(?:[\d*]+ +){5})(.*)", block, re.MULTILINE)
    for text in PAGES.values():
        prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
        spans = (" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose))
        found += [s for s in spans if re.match(rf"(\.venv/bin/)?({'|'.join(PROGRAMS)}) ", s)]
    commands = (re.sub(r"\s+# .*", "", line).replace(r"\|", "|").strip() for line in found)
    return sorted({command for command in commands if command})
