"""The tables of `benchmark.py`: sides, ratios with their goals, agreement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

from benchmark_sides import COUNT, Results, Side, Subject, deviation

SIDES = (
    "| side | tracks | windows | seconds (min to max) | windows/s | same top label, difference |"
)
AGREEMENT = (
    "| clips | n | same top genre | windows | of | saved | difference of confidence: median, 95 % |"
)


class Ratio(NamedTuple):
    """A figure and its goal: a minimum, or if negative a maximum."""

    what: str
    value: float
    goal: float = 0  # 0: no goal

    def row(self) -> str:
        """A row of the page."""
        if not self.goal:
            return f"| {self.what} | | {self.value:.4g} | |"
        least = self.goal > 0
        held = self.value >= self.goal if least else self.value <= -self.goal
        bound = f"at {'least' if least else 'most'} {abs(self.goal):g}"
        return f"| {self.what} | {bound} | {self.value:.4g} | {'yes' if held else '**no**'} |"


def ratios(subject: Subject, sides: dict[str, Side]) -> Iterator[Ratio]:
    """The ratios that are compared; most goals are for AST base, one is for the bundled model."""
    small, base = subject.info.is_bundled, not subject.info.is_bundled
    start, command, floor = sides["start"], sides["command"], sides["forward"].window
    window = command.further(start)
    if "batches" in sides:
        script, whole = sides["batches"].window, sides["whole files"].window
        yield Ratio(
            "pipeline in batches / command without its start-up", script / window, 3.5 * base
        )
        yield Ratio("pipeline in batches / command", script / command.window)
        yield Ratio("pipeline with whole files / command", (script + whole) / command.window)
        if auto := sides.get("auto"):
            track = auto.further(start) * auto.of_track
            what = "pipeline over all windows / `--windows auto` without its start-up"
            yield Ratio(what, script * subject.of_all / track, 12 * base)
    hundred = 100 * command.of_track
    total = start.median + (hundred - start.done.windows) * window
    yield Ratio("command / forward passes, 100 tracks", total / (hundred * floor), -1.1 * base)
    yield Ratio("command / forward passes", command.window / floor)
    decode = sides["decode"].window
    yield Ratio("command without its start-up / decode", window / decode, -1.3 * small)
    yield Ratio("command / decode", command.window / decode)
    if subject.device == "cuda":
        yield Ratio("windows/s of the command, without its start-up", 1 / window, 1500 * base)
        yield Ratio("share of the forward passes' windows/s", floor / window, 0.8 * base)


def page_of(subject: Subject, sides: dict[str, Side]) -> Iterator[str]:
    """The sides of a model, their faults, and their ratios."""
    seconds = subject.plan.samples / subject.plan.rate
    yield f"\n## {Path(subject.info.name).name}\n"
    yield f"Windows of {seconds:.2f} s, {COUNT} per track unless stated otherwise; on average"
    yield f"{subject.of_all:.1f} cover a track.\n\n{SIDES}\n{'|---' * 6}|"
    reference = {"command": "batches", "one by one": "batches", "auto": "all"}
    for name, side in sides.items():
        other = sides.get(reference.get(name, ""))
        yield side_row(side, other.done.results if other else {})
    for side in sides.values():
        yield from (f"\n**{side.name}: {fault}**" for fault in dict.fromkeys(side.faults))
    messages = sides["command"].done.messages.splitlines()
    models = (line.strip() for line in messages if "labels) on" in line)
    yield from (f"\nThe command prints: `{line}`" for line in models)
    yield from ("\n| ratio | goal | measured | met |", "|---|---|---|---|")
    yield from (ratio.row() for ratio in ratios(subject, sides))


def side_row(side: Side, reference: Results) -> str:
    """The times of a side, and how its results differ from a reference."""
    if not side.seconds:
        return f"| {side.name} | | | no result | | |"
    done, low, high = side.done, min(side.seconds), max(side.seconds)
    same, both, far = deviation(done.results, reference)
    apart = f"{same} of {both}, {far:.4f}" if both else ""
    took = f"{side.median:.2f} ({low:.2f} to {high:.2f}) | {1 / side.window:.3g}"
    return f"| {side.name} | {done.tracks} | {done.windows:,} | {took} | {apart} |"


def agreement_row(what: str, pairs: Sequence[tuple[dict[str, str], dict[str, str]]]) -> str:
    """One row: how two reports of the same clips differ."""
    if len(pairs) < 2:
        return f"| {what} | {len(pairs)} | | | | | |"
    same = sum(auto["genre"] == every["genre"] for auto, every in pairs) / len(pairs)
    used, total = (sum(int(pair[side]["windows"]) for pair in pairs) for side in (0, 1))
    apart = [abs(float(auto["confidence"]) - float(every["confidence"])) for auto, every in pairs]
    spread = f"{median(apart):.3f}, {quantiles(apart, n=20)[-1]:.3f}"
    saved = f"{used:,} | {total:,} | {1 - used / total:.0%}"
    return f"| {what} | {len(pairs)} | {same:.1%} | {saved} | {spread} |"
