"""The statements of a TOML file with their lines, for messages; also of a file with errors.

A statement is what TOML puts on lines of its own: a key with its value, or the header of a table.
`tomllib` says on which line an error is, but not on which line a key is. Here it parses one
statement at a time, so quoted and dotted keys, comments and values over several lines are as it has
them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PLACE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)")
CLOSING = re.compile(r"""[\]}]|\"{3}|'{3}""")  # ends a value over several lines
TWICE = ("Cannot overwrite a value", "Cannot declare", "Cannot mutate immutable namespace")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; `content` is what a file with only it, under its header, would hold."""

    line: int  # the first one, from 1
    end: int  # the last one
    text: str
    table: int  # line of its table's header, which may be its own; 0 for none
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SyntaxFault:
    """Where a file is not TOML, and why."""

    line: int
    column: int
    reason: str


@dataclass(slots=True)
class _Scan:
    lines: list[str]
    statements: list[Statement] = field(default_factory=list)
    faults: list[SyntaxFault] = field(default_factory=list)


def scan_toml(text: str) -> tuple[dict[str, Any], list[Statement], list[SyntaxFault]]:
    """The content of a TOML file, its statements, and its faults in the order of their lines.

    The content is of the statements without a fault. Raises `RecursionError` for a file that nests
    too deep.
    """
    scan = _Scan(text.replace("\r\n", "\n").split("\n"))
    _split(scan)
    content = _without_contradictions(scan)
    return content, scan.statements, sorted(scan.faults, key=lambda fault: fault.line)


def _split(scan: _Scan) -> None:
    at, header, table, is_lost = 0, "", 0, False
    while at < len(scan.lines):
        first = scan.lines[at].strip()
        if not first or first.startswith("#"):
            at += 1
            continue
        is_header = first.startswith("[")
        end, fault = _end(scan.lines, at)
        if fault is not None:
            scan.faults.append(fault)
            # What is below a header that cannot be read belongs to no table that is known.
            is_lost = is_lost or is_header
            at = _next(scan.lines, at) if fault.line > at + 1 or end > at + 1 else at + 1
            continue
        text = "\n".join(scan.lines[at:end])
        if is_header:
            header, table, is_lost = text, at + 1, False
        if not is_lost:
            whole = text if is_header else f"{header}\n{text}"
            content = tomllib.loads(f"{whole}\n")
            scan.statements.append(Statement(at + 1, end, text, table, content))
        at = end


def _end(lines: list[str], at: int) -> tuple[int, SyntaxFault | None]:
    """Behind the last line of the statement that begins at a line, and its fault if it has one."""
    for end in range(at + 1, len(lines) + 1):
        is_last = end == len(lines)
        if end > at + 1 and not is_last and not CLOSING.search(lines[end - 1]):
            continue
        try:
            tomllib.loads("\n".join(lines[at:end]) + "\n")
            return end, None
        except ValueError as error:
            place = PLACE.fullmatch(str(error))
        if place:
            line, column = int(place[2]), int(place[3])
            begins = f"; it begins on line {at + 1}" if line > 1 else ""
            return end, SyntaxFault(at + line, column, f"{place[1]}{begins}")
    # Nothing closes the value: its own line is where to look.
    return len(lines), SyntaxFault(at + 1, 1, "the value that begins here has no end")


def _next(lines: list[str], at: int) -> int:
    """The next line on which a statement may begin, after one that nothing closes."""
    for following in range(at + 1, len(lines)):
        line = lines[following].strip()
        if line.startswith("[") or "=" in line:
            end, fault = _end(lines, following)
            if fault is None and end == following + 1:
                return following
    return len(lines)


def _without_contradictions(scan: _Scan) -> dict[str, Any]:
    """The content of all statements; one that sets again what is set becomes a fault."""
    while True:
        lines = [""] * len(scan.lines)
        for statement in scan.statements:
            lines[statement.line - 1 : statement.end] = statement.text.split("\n")
        try:
            return tomllib.loads("\n".join(lines) + "\n")
        except ValueError as error:
            place = PLACE.fullmatch(str(error))
            if place is None:
                raise
            wrong = next(s for s in scan.statements if s.line <= int(place[2]) <= s.end)
            reason = place[1]
            if reason.startswith(TWICE):
                reason = f"{'.'.join(_path(wrong.content))} is set a second time"
            scan.faults.append(SyntaxFault(int(place[2]), int(place[3]), reason))
            # Without its header, what follows would land in the table before it.
            is_header = wrong.line == wrong.table
            scan.statements[:] = [
                s for s in scan.statements
                if s is not wrong and not (is_header and s.table == wrong.table)
            ]  # fmt: skip


def _path(content: Mapping[str, Any]) -> Iterator[str]:
    """The keys down to what a statement sets."""
    inner: Any = content
    while isinstance(inner, Mapping | list) and len(inner) == 1:
        if isinstance(inner, Mapping):
            ((key, inner),) = inner.items()
            yield str(key)
        else:
            inner = inner[0]
