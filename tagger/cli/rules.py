"""The options that decide which genres a track gets: one group, checked as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from tagger.cli import candidates
from tagger.cli.command import Contradiction, option_group
from tagger.cli.values import (
    Choice,
    ModelName,
    RuleFile,
    at_least_one,
    check_skip,
    not_nan,
    separators,
    without_empty,
)
from tagger.genres.albums import BY
from tagger.genres.labels import STYLES
from tagger.genres.placeholders import PLACEHOLDERS
from tagger.genres.policy import MIN_CONFIDENCE, MIN_CONFIDENCE_MULTI_LABEL, ON_EXISTING, Policy
from tagger.genres.vocabulary import Vocabulary, load_aliases, load_tree, load_whitelist
from tagger.types import DEFAULT_MODEL

POLICY = Policy()
placeholder_option = click.option(
    "--placeholder",
    multiple=True,
    default=PLACEHOLDERS,
    metavar="NAME",
    callback=without_empty,
    help='A name that counts as no genre. May be repeated. It replaces the default list, and "" '
    "empties it.  [default: Other, Unknown, Misc, Genre, None and the like, in many languages]",
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Which tracks are predicted, and which genres they get."""

    policy: Policy
    only_missing: bool
    skip: tuple[str, ...]
    by: str  # one of albums.BY
    provenance: bool


@option_group(
    click.option(
        "--on-existing",
        type=Choice(ON_EXISTING),
        default=POLICY.on_existing,
        show_default=True,
        help="Keep existing genres, append to them or replace them. replace-own replaces only what "
        "an earlier run wrote with --provenance.",
    ),
    click.option(
        "--only-missing",
        is_flag=True,
        help="Do not predict tracks that already have a genre. Their tags are kept.",
    ),
    click.option(
        "--skip",
        multiple=True,
        metavar="GENRE|.SUFFIX",
        callback=check_skip,
        shell_complete=candidates.genres,
        help="Do not predict tracks of this genre or suffix. Their tags are kept. May be repeated.",
    ),
    click.option(
        "--protect",
        multiple=True,
        shell_complete=candidates.genres,
        metavar="GENRE",
        help="Never change the tags of tracks of this genre. May be repeated.",
    ),
    click.option(
        "--min-confidence",
        type=click.FloatRange(0, 1),
        metavar="0..1",
        callback=not_nan,
        help="Write no genre with a lower confidence. Its track is listed as unsure.  "
        f"[default: {MIN_CONFIDENCE:g}; {MIN_CONFIDENCE_MULTI_LABEL:g} if the model gives each "
        "label an independent probability]",
    ),
    click.option(
        "--min-music",
        type=click.FloatRange(0, 1),
        metavar="0..1",
        callback=not_nan,
        default=POLICY.min_music,
        show_default=True,
        help="Write no genre if the probability of Music is lower. This needs a model with "
        "AudioSet's labels, one of which is Music.",
    ),
    click.option(
        "--top",
        type=click.IntRange(min=1),
        metavar="N",
        default=POLICY.top,
        show_default=True,
        help="Write at most this many genres per track.",
    ),
    click.option(
        "--ratio",
        type=click.FloatRange(0, 1),
        metavar="0..1",
        callback=not_nan,
        default=POLICY.ratio,
        show_default=True,
        help="Lowest confidence of a further genre. It is a share of the best one's: 0.5 is half.",
    ),
    click.option(
        "--separators",
        callback=separators,
        default=POLICY.separators,
        show_default=True,
        metavar="CHARACTERS",
        help='Characters that separate genres in one value. They split "Audiobook, Fantasy", but '
        'not names such as R&B/Soul. "" splits no value.',
    ),
    placeholder_option,
    click.option(
        "--aliases",
        type=RuleFile(load_aliases),
        help="TOML file with other spellings of each genre. A spelling may be a /regex/.",
    ),
    click.option(
        "--whitelist",
        type=RuleFile(load_whitelist),
        help="Text file of the only genres that may be written. It has one genre per line.",
    ),
    click.option(
        "--tree",
        type=RuleFile(load_tree),
        help="TOML file with the subgenres of each genre. beets' genres-tree.yaml works, too. A "
        "genre that is not on the whitelist becomes its nearest ancestor that is.",
    ),
    click.option(
        "--with-parents", is_flag=True, help="Also write each genre's parent in the tree."
    ),
    click.option(
        "--style",
        type=Choice(STYLES),
        default=POLICY.style,
        show_default=True,
        help="Write the style, its parent genre, or both. This needs a model whose labels are "
        "Discogs styles.",
    ),
    click.option(
        "--by",
        type=Choice(BY),
        default="track",
        show_default=True,
        help="Give one genre to each track, album or folder. With album, each track of a "
        "compilation gets its own.",
    ),
    click.option(
        "--provenance",
        is_flag=True,
        help="Also write a field TAG_GENRES. It names the model that predicted the genre.",
    ),
)
def rules_options(
    *,
    on_existing: str,
    only_missing: bool,
    skip: tuple[str, ...],
    protect: tuple[str, ...],
    separators: str,
    placeholder: tuple[str, ...],
    min_confidence: float | None,
    min_music: float,
    top: int,
    ratio: float,
    aliases: Mapping[str, tuple[str, ...]] | None,
    whitelist: tuple[str, ...] | None,
    tree: Mapping[str, str] | None,
    with_parents: bool,
    style: str,
    by: str,
    provenance: bool,
) -> Rules:
    """For a command that decides on genres: it takes `Rules`."""
    vocabulary = Vocabulary(aliases=aliases or {}, whitelist=whitelist or (), tree=tree or {})
    policy = Policy(
        on_existing=on_existing,
        min_confidence=min_confidence,
        top=top,
        ratio=ratio,
        protect=protect,
        with_parents=with_parents,
        style=style,
        min_music=min_music,
        separators=separators,
        placeholders=placeholder,
        vocabulary=vocabulary,
    )
    return Rules(
        policy=policy,
        only_missing=only_missing,
        skip=skip,
        by=by,
        provenance=provenance,
    )


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The models to predict with."""

    models: tuple[str, ...]
    labels: Path | None  # names of the outputs of the only model


labels_option = click.option(
    "--labels",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="File with names for the outputs of --model. It is needed if the labels are not genres, "
    "such as LABEL_0. It has one name per line, in the order of the outputs, or is JSON with "
    "id2label.",
)
model_option = click.option(
    "-m",
    "--model",
    type=ModelName(),
    shell_complete=candidates.models_and_folders,
    multiple=True,
    callback=at_least_one,
    default=(DEFAULT_MODEL,),
    envvar="TAG_GENRES_MODEL",
    show_envvar=True,
    show_default=True,
    help="Model to predict with; `tag-genres models` lists some. A folder saved by "
    "save_pretrained or a Hugging Face hub id works, too. If repeated, the predictions of the "
    "models are averaged.",
)


@option_group(model_option, labels_option)
def model_options(*, model: tuple[str, ...], labels: Path | None) -> ModelChoice:
    """For a command that predicts with models: it takes `ModelChoice`.

    The labels of a config file belong to the model of that file, and to no other.
    """
    return ModelChoice(model, labels if _are_of_model(click.get_current_context()) else None)


def _are_of_model(ctx: click.Context) -> bool:
    """Whether the labels are for the model that is used."""
    sources = tuple(map(ctx.get_parameter_source, ("labels", "model")))
    of_other = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)
    return not (sources[0] is ParameterSource.DEFAULT_MAP and sources[1] in of_other)


def contradictions(ctx: click.Context) -> Iterator[Contradiction]:
    """The options of a run that contradict each other, whether typed or from a config file."""
    given, source = ctx.params, ctx.get_parameter_source
    has_tree = given["tree"] is not None
    # In a config file, a tree may stay unused.
    is_typed = source("tree") is ParameterSource.COMMANDLINE
    if is_typed and not (given["whitelist"] or given["with_parents"]):
        yield Contradiction("--tree does nothing without --whitelist or --with-parents", "tree")
    if given["with_parents"] and not has_tree:
        yield Contradiction(
            "--with-parents needs --tree, which defines the parents", "with_parents", "tree"
        )
    if given["only_missing"] and given["on_existing"] != POLICY.on_existing:
        yield Contradiction(
            "--only-missing works only with --on-existing keep", "only_missing", "on_existing"
        )
    if given["labels"] is None or not _are_of_model(ctx):
        return
    if source("model") is ParameterSource.DEFAULT or len(given["model"]) != 1:
        yield Contradiction("--labels needs one --model, whose outputs it names", "labels", "model")


def refuse_contradictions() -> None:
    """Raise the first of the `contradictions` of the command that runs, if there is one."""
    for contradiction in contradictions(click.get_current_context()):
        raise contradiction
