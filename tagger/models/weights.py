"""Read the weights of a checkpoint without running code, and build its network."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.errors import CheckpointError, one_line
from tagger.models import checkpoint, names
from tagger.models.adapters import Adapter
from tagger.models.checkpoint import ModelInfo
from tagger.models.dora import dora_alpha, fold_dora, has_dora
from tagger.models.folders import read_config, weight_files
from tagger.models.wrappers import plain_names

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ASTConfig, ASTForAudioClassification

# Everything that a pickled dict of tensors calls. Torch's own list for `weights_only` is longer,
# and its other entries let a few bytes allocate all memory.
ALLOWED_CALLS = re.compile(
    r"collections OrderedDict|torch \w+Storage|torch\._utils _rebuild_(tensor_v2|parameter)"
)
MAX_PICKLE = 16 << 20  # bytes without the tensors, which are stored beside it; AST's has 20 kB
INNER = ("state_dict", "model_state_dict", "model")  # where training loops keep the weights
ADVICE = "ask for the weights as model.safetensors"


def network_config(info: ModelInfo, weights: dict[str, Tensor]) -> ASTConfig:
    """The config of a checkpoint's network for transformers, built from checked values.

    The weights show whether the head has two layers, since hand-written training code names plain
    AST in the config in either case. Raises `CheckpointError` or `ValueError`.
    """
    from transformers import ASTConfig

    from tagger.models import heads

    sizes = checkpoint.settings(read_config(info.folder, info.name))
    hidden = heads.mlp_hidden(weights)
    if hidden or info.architecture == heads.ASTWithMlpHead.__name__:
        sizes.setdefault("mlp_hidden", hidden or heads.MLP_HIDDEN)
    labels = dict(enumerate(info.labels))
    indices = {label: index for index, label in labels.items()}
    return ASTConfig(**sizes, id2label=labels, label2id=indices)


def read_weights(info: ModelInfo) -> dict[str, Tensor]:
    """All tensors of a checkpoint, by their names in its files without those of wrappers.

    DoRA's factors are folded in, and an adapter is merged. Raises `CheckpointError`, also if the
    head's outputs and the labels differ in number.
    """
    from tagger.models.heads import outputs

    config = read_config(info.folder, info.name)
    with _named(info.name):
        weights = plain_names(_load(weight_files(info.folder, info.name)))
        if has_dora(weights):
            weights = fold_dora(weights, dora_alpha(config))
        if info.adapter is not None:
            return _with_adapter(info, info.adapter, weights)
        found = outputs(weights)
    if found not in (None, count := len(info.labels)):
        source = "its config" if names.stated(config) == count else "--labels"
        raise CheckpointError(
            f"{info.name} contradicts itself: its head has {found} outputs, {source} {count} labels"
        )
    return weights


def _with_adapter(
    info: ModelInfo, adapter: Adapter, weights: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The weights of an adapter's base with the adapter merged into them."""
    from tagger.models.heads import classifier_class
    from tagger.models.lora import merge_adapter, new_name, split_adapter

    factors, replaced = split_adapter(_load([adapter.weights]))
    weights = {new_name(name): tensor for name, tensor in weights.items()} | replaced
    config = network_config(info, weights)
    network, misfits = build_network(classifier_class(config), config, weights)
    if misfits:
        raise CheckpointError(
            f"{info.name} does not fit its base, {adapter.base}, or its labels; {misfits}"
        )
    return merge_adapter(network, adapter, factors, info.name)


def _load(files: list[Path]) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    weights: dict[str, Tensor] = {}
    for path in files:
        weights |= load_file(path) if path.suffix == ".safetensors" else _read_pickle(path)
    return weights


def load_network(info: ModelInfo) -> ASTForAudioClassification:
    """The float32 network, with every weight from the file: none drawn at random, none left over.

    Raises `CheckpointError` for weights that are damaged, do not fit, or are not finite.
    """
    from tagger.models.heads import classifier_class

    weights = read_weights(info)
    with _named(info.name):
        config = network_config(info, weights)
        network, misfits = build_network(classifier_class(config), config, weights)
    if misfits:
        raise CheckpointError(f"the weights of {info.name} do not fit its config; {misfits}")
    if not all(bool(weights.isfinite().all()) for weights in network.parameters()):
        raise CheckpointError(f"the weights of {info.name} are not all finite numbers")
    return network


def build_network(
    kind: type[ASTForAudioClassification], config: ASTConfig, weights: Mapping[str, Tensor]
) -> tuple[ASTForAudioClassification, str]:
    """A float32 network of a class with these weights, and which of them do not fit ("": all do).

    Weights that are missing or of another shape are drawn at random. Raises transformers' errors.
    """
    import torch
    import transformers

    hide_progress_bars()
    # It would print a table of the tensors that do not fit, which the caller reports.
    transformers.utils.logging.set_verbosity_error()
    # No folder: from a folder it would also load adapters, and files that the config names.
    network, loading = kind.from_pretrained(
        None,
        config=config,
        state_dict=weights,
        dtype=torch.float32,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
    )
    wrong = {
        "missing": loading["missing_keys"],
        "left over": loading["unexpected_keys"],
        "of another shape": [name for name, *_ in loading["mismatched_keys"]],
    }
    misfits = [f"{what}: {', '.join(sorted(names)[:3])}" for what, names in wrong.items() if names]
    return network, "; ".join(misfits)


def hide_progress_bars() -> None:
    """Hide transformers' bars for loading and saving, which take only a second."""
    import transformers

    transformers.utils.logging.disable_progress_bar()


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Turn any error into a `CheckpointError`: safetensors, torch and Python raise many kinds."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(
            f"the weights of {name} cannot be loaded: {one_line(error)}"
        ) from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    """The flat dict of tensors that `torch.save` wrote. Raises `ValueError`, and torch's errors.

    Torch does not run a pickle's code either (`weights_only`). It maps the file into memory, as
    safetensors does: nothing outside the file can be read.
    """
    import torch

    _check_pickle(path)
    weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if isinstance(weights, dict):
        inner = (weights.get(key) for key in INNER)
        weights = next((value for value in inner if isinstance(value, dict)), weights)
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in weights.items()
    ):
        raise ValueError(f"{path.name} holds more than named tensors; {ADVICE}")
    if sum(tensor.nbytes for tensor in weights.values()) > path.stat().st_size:
        raise ValueError(f"the tensors of {path.name} are larger than the file; {ADVICE}")
    return {name: tensor.detach() for name, tensor in weights.items()}


def _check_pickle(path: Path) -> None:
    """Raise `ValueError` unless a file is what `torch.save` writes for a dict of tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            # Torch does not compress, so a file takes no more memory than its size.
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError(f"{path.name} is compressed, and was not opened; {ADVICE}")
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise ValueError(f"{path.name} claims to be larger than it is; {ADVICE}")
            pickles = [m for m in members if m.filename.casefold().endswith(".pkl")]
            if any(member.file_size > MAX_PICKLE for member in pickles):
                raise ValueError(f"{path.name} holds a pickle that is too large; {ADVICE}")
            called = {name for member in pickles for name in _calls(archive.read(member))}
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{path.name} is damaged, cut off, or not written by torch 1.6 or later, and was not "
            f"opened; {ADVICE}"
        ) from error
    if foreign := sorted(name for name in called if not ALLOWED_CALLS.fullmatch(name)):
        code = ", ".join(foreign[:3]).replace(" ", ".")
        raise ValueError(f"{path.name} holds code ({code[:80]}), and was not opened; {ADVICE}")


def _calls(program: bytes) -> Iterator[str]:
    """What a pickle would call, as "module name"; nothing is run.

    Raises `ValueError` if it reuses a tuple, which torch never does: if each of many tuples holds
    the previous one twice, hashing the last one never ends.
    """
    tuples, previous = set(), ""
    for operation, argument, _ in pickletools.genops(program):
        if operation.name.endswith("PUT") and previous.startswith("TUPLE"):
            tuples.add(argument)
        is_reused = operation.name.endswith("GET") and argument in tuples
        if is_reused or operation.name in ("MEMOIZE", "DUP"):
            raise ValueError(f"its pickle reuses a tuple, and was not opened; {ADVICE}")
        previous = operation.name
        if operation.name in ("GLOBAL", "INST"):
            yield str(argument)
        elif operation.name == "STACK_GLOBAL" or operation.name.startswith("EXT"):
            yield "a computed name"  # torch writes none
