"""Options that belong together reach a command as one typed value, declared in one place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from tagger.audio.windows import Count
from tagger.cli import candidates
from tagger.cli.command import option_group
from tagger.cli.console import Console
from tagger.cli.folder_diff import FolderDiff
from tagger.cli.values import Choice, check_exclude, check_suffix, in_folder, not_nan, window_count
from tagger.types import DEVICES, PRECISIONS, PredictOptions, ScanOptions, WriteOptions

PREDICT = PredictOptions()

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of predictions and tag changes.  [default: in your state folder]",
)


@dataclass(frozen=True, slots=True)
class ChangeOptions:
    """The options of every command that changes files."""

    dry_run: bool
    writing: WriteOptions
    state: Path | None
    log: Path | None
    quiet: bool
    verbose: bool
    json: bool

    def console(
        self, paths: Iterable[Path] = (), *, strict: bool = False, has_stdout: bool = True
    ) -> Console:
        """Where a command reports on files under these paths.

        A dry run shows on stdout what would change, if it `has_stdout`: no data goes there.
        """
        diff = self.dry_run and has_stdout and not self.json
        folders = FolderDiff.on_terminal(paths, verbose=self.verbose) if diff else None
        return Console(self.quiet, self.verbose, diff=diff, strict=strict, folders=folders)


@option_group(
    click.option(
        "-n",
        "--dry-run",
        is_flag=True,
        help="Show what would change; change no music file.",
    ),
    click.option("--keep-mtime", is_flag=True, help="Keep the modification times of files."),
    click.option(
        "--break-hardlinks",
        is_flag=True,
        help="Also write files with other hard links. The other names keep the old content.",
    ),
    click.option(
        "--drop-attributes",
        is_flag=True,
        help="Also write files whose attributes would be lost. These are extended attributes, "
        "access lists and flags.",
    ),
    state_option,
    click.option(
        "--log",
        type=click.Path(path_type=Path, dir_okay=False),
        callback=in_folder,
        help="Append a line for each write to this file. It may be rotated at any time.  [default: "
        "a log next to the state file, at most 5 MB]",
    ),
    click.option(
        "-q",
        "--quiet",
        is_flag=True,
        help="Print no progress and no summary. A run that predicts prints only the failures, "
        "writes and unsure tracks that the last run did not have.",
    ),
    click.option("-v", "--verbose", is_flag=True, help="Print a line for every track."),
    click.option(
        "--json",
        is_flag=True,
        help="Print a line of JSON for each track to stdout. The last line is the summary.",
    ),
)
def change_options(
    *,
    dry_run: bool,
    keep_mtime: bool,
    break_hardlinks: bool,
    drop_attributes: bool,
    state: Path | None,
    log: Path | None,
    quiet: bool,
    verbose: bool,
    json: bool,
) -> ChangeOptions:
    """For a command that changes files: it takes `ChangeOptions`."""
    writing = WriteOptions(
        keep_mtime=keep_mtime, break_hardlinks=break_hardlinks, drop_attributes=drop_attributes
    )
    return ChangeOptions(
        dry_run=dry_run, writing=writing, state=state, log=log, quiet=quiet, verbose=verbose,
        json=json,
    )  # fmt: skip


@option_group(
    click.option(
        "--from-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True),
        help="Also take the paths that this file lists. One per line; - is standard input.",
    ),
    click.option(
        "-0",
        "--null",
        is_flag=True,
        help="Paths in --from-file end with NUL, not a newline.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="GLOB",
        callback=check_exclude,
        help="Leave out files and folders that match this pattern. It is written as in a "
        ".gitignore and may be repeated. A file .tag-genres-ignore in any folder does the same.",
    ),
    click.option(
        "--suffix",
        multiple=True,
        metavar=".SUFFIX",
        callback=check_suffix,
        help="Also predict files with this suffix, such as .mkv. May be repeated.",
    ),
    click.option(
        "--follow-links",
        is_flag=True,
        help="Follow symbolic links that lead out of the paths.",
    ),
)
def scan_options(
    *,
    from_file: Path | None,
    null: bool,
    exclude: tuple[str, ...],
    suffix: tuple[str, ...],
    follow_links: bool,
) -> ScanOptions:
    """For a command that scans folders: it takes `ScanOptions`."""
    return ScanOptions(
        follow_links=follow_links, exclude=exclude, from_file=from_file, null=null, suffixes=suffix
    )


@option_group(
    click.option(
        "--windows",
        callback=window_count,
        shell_complete=candidates.one_of("auto", "all"),
        metavar="N|auto|all",
        default=str(PREDICT.windows),
        show_default=True,
        help="How much of each track is predicted. A number is that many windows; auto adds "
        "windows until the genre is settled; all covers every sample.",
    ),
    click.option(
        "--device",
        type=Choice(DEVICES),
        default=PREDICT.device,
        show_default=True,
        help="Where the model runs. auto uses a GPU if there is one.",
    ),
    click.option(
        "--precision",
        type=Choice(PRECISIONS),
        default=PREDICT.precision,
        show_default=True,
        help="Number format of the computation. auto uses bfloat16 where it is fast, and reuses "
        "stored predictions in any format. With another choice, tracks whose stored prediction is "
        "in a different format are predicted again.",
    ),
    click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        metavar="N",
        help="Windows per batch.  [default: chosen for the device]",
    ),
    click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help="Decoding processes.  [default: one per core]",
    ),
    click.option(
        "--decode-timeout",
        type=click.FloatRange(min=0, min_open=True),
        callback=not_nan,
        default=PREDICT.decode_timeout,
        show_default=True,
        metavar="SECONDS",
        help="Give up on a track that takes longer to decode. With many windows, the limit is per "
        "32 windows.",
    ),
)
def predict_options(
    *,
    windows: Count,
    device: str,
    precision: str,
    batch_size: int | None,
    workers: int | None,
    decode_timeout: float,
) -> PredictOptions:
    """For a command that predicts: it takes `PredictOptions`."""
    return PredictOptions(
        windows=windows,
        batch_size=batch_size,
        workers=workers,
        device=device,
        precision=precision,
        decode_timeout=decode_timeout,
    )


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """Where the results are listed, and what counts as a failure."""

    csv: Path | None
    xlsx: Path | None
    playlists: Path | None
    all_probabilities: bool
    strict: bool  # a quiet run fails by old failures too


@option_group(
    click.option(
        "--csv",
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        default=Path("genres.csv"),
        show_default=True,
        help="Where the report goes. - is stdout.",
    ),
    click.option(
        "--xlsx",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE.xlsx",
        help="Write the report as an Excel workbook. A CSV is written only if --csv is given too.",
    ),
    click.option(
        "--playlists",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="FOLDER",
        help="Write a playlist for each genre into this folder. The format is M3U8.",
    ),
    click.option(
        "--all-probabilities", is_flag=True, help="Add a column for each label to the report."
    ),
    click.option(
        "--strict",
        is_flag=True,
        help="With --quiet, exit with 3 for old failures too. These are the ones that the last run "
        "already had.",
    ),
)
def report_options(
    *, csv: Path, xlsx: Path | None, playlists: Path | None, all_probabilities: bool, strict: bool
) -> ReportOptions:
    """For a command that lists results: it takes `ReportOptions`."""
    source = click.get_current_context().get_parameter_source("csv")
    only_xlsx = xlsx is not None and source is ParameterSource.DEFAULT
    return ReportOptions(
        csv=None if only_xlsx else csv,
        xlsx=xlsx,
        playlists=playlists,
        all_probabilities=all_probabilities,
        strict=strict,
    )
