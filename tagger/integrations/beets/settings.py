"""The section `tag-genres` of beets' config: the options of our config file, checked as there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tagger.app.config import Config
from tagger.app.request import TagRequest
from tagger.cli.command import Command
from tagger.cli.config import defaults_for
from tagger.cli.options import predict_options, state_option
from tagger.cli.rules import (
    ModelChoice,
    Rules,
    model_options,
    refuse_contradictions,
    rules_options,
)
from tagger.errors import ConfigError
from tagger.types import PredictOptions, WriteOptions


@click.command(cls=Command, add_help_option=False)
@rules_options
@model_options
@predict_options
@state_option
def settings(
    options: PredictOptions, model: ModelChoice, rules: Rules, /, *, state: Path | None
) -> TagRequest:
    """The request that these options describe; nothing is done."""
    refuse_contradictions()
    return TagRequest(
        paths=(),
        model=model.models,
        labels=model.labels,
        by=rules.by,
        only_missing=rules.only_missing,
        skip=rules.skip,
        state=state,
        policy=rules.policy,
        options=options,
        writing=WriteOptions(provenance=rules.provenance),
    )


def options() -> list[click.Option]:
    """All options that the section may set."""
    return [param for param in settings.params if isinstance(param, click.Option)]


def read_settings(section: Mapping[str, Any], source: Path) -> TagRequest:
    """The request that the section of a config file describes; names in it are relative to it.

    Raises `ConfigError` for an option that does not exist, or a value that it cannot have.
    """
    try:
        defaults, faults = defaults_for(settings, Config(source, section), is_complete=True)
        for fault in faults:
            raise click.UsageError(str(fault))
        with settings.make_context("tag-genres", [], default_map=defaults) as context:
            request: TagRequest = settings.invoke(context)
    except click.UsageError as error:
        raise ConfigError(f"tag-genres: {error.format_message()}", source) from error
    return request
