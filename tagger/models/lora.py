"""Merge an adapter (LoRA, DoRA) into the weights of its base, by peft.

Peft gets tensors and settings that were checked, and neither a folder nor a regular expression: it
would load pickles and match whatever an adapter's config holds.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tagger.errors import CheckpointError, one_line
from tagger.models.adapters import MERGE, Adapter
from tagger.models.wrappers import WRAPPER

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ASTForAudioClassification

FACTOR = re.compile(r"(?P<layer>.+)\.lora_(A|B|magnitude_vector)(\.default)?(\.weight)?")
SAVED = re.compile(r"\.(modules_to_save\.default|base_layer)(?=\.)")
# What transformers 4 called the modules of an AST, also in adapters that were trained with it.
NEW_NAMES = {
    ".encoder.layer.": ".layers.", ".attention.attention.query": ".attention.q_proj",
    ".attention.attention.key": ".attention.k_proj",
    ".attention.attention.value": ".attention.v_proj",
    ".attention.output.dense": ".attention.o_proj",
    ".intermediate.dense": ".mlp.fc1", ".output.dense": ".mlp.fc2",
}  # fmt: skip


def split_adapter(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The factors of an adapter, and the weights that replace those of its base.

    Names are those of transformers 5, without what peft puts before them.
    """
    factors, replaced = {}, {}
    for name, tensor in weights.items():
        plain = new_name(WRAPPER.sub("", name).removeprefix("base_model.model."))
        if FACTOR.fullmatch(plain):
            factors[plain] = tensor
        elif ".original_module." not in plain:
            replaced[SAVED.sub("", plain)] = tensor
    return factors, replaced


def new_name(name: str) -> str:
    """The name in transformers 5 of weights of an AST."""
    for old, new in NEW_NAMES.items():
        name = name.replace(old, new)
    return name


def merge_adapter(
    network: ASTForAudioClassification, adapter: Adapter, factors: Mapping[str, Tensor], name: str
) -> dict[str, Tensor]:
    """The weights of a network with an adapter's factors merged into them.

    Raises `CheckpointError`, also if peft is not installed, and peft's and torch's errors.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import peft
    except ImportError as error:
        raise CheckpointError(
            f"{name} is an adapter, which peft merges into its base, and peft cannot be imported "
            f"({one_line(error)}): pip install peft, or {MERGE}"
        ) from error
    ranks = {
        found["layer"]: len(tensor)
        for key, tensor in factors.items()
        if (found := FACTOR.fullmatch(key)) and found[2] == "A"
    }
    _check_layers(network, ranks, factors)
    config = peft.LoraConfig(
        r=1,
        target_modules=list(ranks),
        rank_pattern={re.escape(layer): rank for layer, rank in ranks.items()},
        alpha_pattern={re.escape(layer): _alpha(adapter, layer) for layer in ranks},
        use_dora="use_dora" in adapter.flags,
        use_rslora="use_rslora" in adapter.flags,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft asks transformers for names that it had before
        model: Any = peft.get_peft_model(network, config)
        state = {f"base_model.model.{key.replace('.default', '')}": factors[key] for key in factors}
        peft.set_peft_model_state_dict(model, state)
        _check_taken(peft.get_peft_model_state_dict(model), state)
        merged = model.merge_and_unload()
    result: dict[str, Tensor] = merged.state_dict()
    return result


def _alpha(adapter: Adapter, layer: str) -> float:
    for end, alpha in adapter.alphas:
        plain = new_name(f".{end}").removeprefix(".")
        if f".{layer}".endswith(f".{plain}"):
            return alpha
    return adapter.alpha


def _check_layers(
    network: ASTForAudioClassification, ranks: Mapping[str, int], factors: Mapping[str, Tensor]
) -> None:
    """Raise `ValueError` if a factor belongs to no layer of the network."""
    known = dict(network.named_modules())
    layers = {found["layer"] for key in factors if (found := FACTOR.fullmatch(key))}
    if foreign := sorted(layer for layer in layers if layer not in known or layer not in ranks):
        raise ValueError(f"the base has no layer {foreign[0]} that the adapter changes")
    if not layers:
        raise ValueError("it has no factors of LoRA")


def _check_taken(taken: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Raise `ValueError` unless peft has taken every factor."""
    for key, tensor in given.items():
        have = taken.get(key, taken.get(f"{key}.weight"))
        if have is None or not bool((have == tensor.to(have.dtype)).all()):
            raise ValueError(f"peft does not take {key.removeprefix('base_model.model.')}")
