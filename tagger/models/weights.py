"""The weights of a checkpoint, and the network that they make."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.errors import CheckpointError
from tagger.models import checkpoint
from tagger.models.checkpoint import ModelInfo
from tagger.models.dora import dora_alpha, fold_dora, has_dora

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import ASTConfig, ASTForAudioClassification

# All that a pickled dict of tensors calls. Torch's own list for `weights_only` is longer, and with
# it a few bytes may ask for all memory there is.
CALLED = re.compile(
    r"collections OrderedDict|torch \w+Storage|torch\._utils _rebuild_(tensor_v2|parameter)"
)
PICKLE_BYTES = 16 << 20  # without the tensors, which lie beside it; AST's has 20 kB
INSTEAD = "ask for the weights as model.safetensors"


def network_config(info: ModelInfo, weights: dict[str, Tensor]) -> ASTConfig:
    """What the network of a checkpoint is made by, as transformers takes it.

    A head of two layers is told by its weights: code written by hand names plain AST in the config.
    """
    from transformers import ASTConfig

    from tagger.models import heads

    sizes = checkpoint.settings(checkpoint.read_json(info.folder / "config.json", info.name))
    hidden = heads.mlp_hidden(weights)
    if hidden or info.architecture == heads.ASTWithMlpHead.__name__:
        sizes.setdefault("mlp_hidden", hidden or heads.MLP_HIDDEN)
    labels = dict(enumerate(info.labels))
    indices = {label: index for index, label in labels.items()}
    return ASTConfig(**sizes, id2label=labels, label2id=indices)


def read_weights(info: ModelInfo) -> dict[str, Tensor]:
    """All tensors of a checkpoint, by the names in its files, with factors of DoRA folded in.

    Raises `CheckpointError` that names the checkpoint, also where its head and its labels differ in
    number.
    """
    from safetensors.torch import load_file

    from tagger.models.heads import outputs

    config = checkpoint.read_json(info.folder / "config.json", info.name)
    weights: dict[str, Tensor] = {}
    with _named(info.name):
        for path in checkpoint.weight_files(info.folder, info.name):
            weights |= load_file(path) if path.suffix == ".safetensors" else _read_pickle(path)
        if has_dora(weights):
            weights = fold_dora(weights, dora_alpha(config))
        found = outputs(weights)
    if found not in (None, len(info.labels)):
        raise CheckpointError(
            f"{info.name} contradicts itself: its head has {found} outputs, its config "
            f"{len(info.labels)} labels"
        )
    return weights


def load_network(info: ModelInfo) -> ASTForAudioClassification:
    """The float32 network, with every weight from the file: none newly drawn, none left over.

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

    What is missing or of another shape is drawn at random. Raises what transformers raises.
    """
    import torch
    import transformers

    hide_progress_bars()
    # It would print a table of the tensors that do not fit; that is up to the caller.
    transformers.utils.logging.set_verbosity_error()
    # Without a folder: from one it would also load adapters, and files that the config names.
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
    """Keep transformers from showing a bar for loading and saving, which takes a second."""
    import transformers

    transformers.utils.logging.disable_progress_bar()


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Damaged weights surface as safetensors', torch's and Python's own errors alike."""
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"the weights of {name} cannot be loaded: {reason}") from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    """The flat dict of tensors that `torch.save` wrote. Raises `ValueError`, and torch's errors.

    Torch runs none of a pickle's code either (`weights_only`), and maps the file as safetensors
    does: what lies outside of it cannot be read.
    """
    import torch

    _check_pickle(path)
    weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(weights, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in weights.items()
    ):
        raise ValueError(f"{path.name} holds other things than named tensors; {INSTEAD}")
    if sum(tensor.nbytes for tensor in weights.values()) > path.stat().st_size:
        raise ValueError(f"the tensors of {path.name} are larger than the file; {INSTEAD}")
    return {name: tensor.detach() for name, tensor in weights.items()}


def _check_pickle(path: Path) -> None:
    """Raise `ValueError` where a file is not what `torch.save` writes for a dict of tensors."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            # Torch does not compress, so a file takes no more memory than its size tells.
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError(f"{path.name} is compressed, and is not opened; {INSTEAD}")
            if sum(member.file_size for member in members) > path.stat().st_size:
                raise ValueError(f"{path.name} claims to be larger than it is; {INSTEAD}")
            pickles = [one for one in members if one.filename.casefold().endswith(".pkl")]
            if any(one.file_size > PICKLE_BYTES for one in pickles):
                raise ValueError(f"{path.name} holds too large a pickle; {INSTEAD}")
            called = {name for one in pickles for name in _called(archive.read(one))}
    except zipfile.BadZipFile as error:
        raise ValueError(
            f"{path.name} is damaged, cut off, or not written by torch 1.6 or later, and is not "
            f"opened; {INSTEAD}"
        ) from error
    if foreign := sorted(name for name in called if not CALLED.fullmatch(name)):
        code = ", ".join(foreign[:3]).replace(" ", ".")
        raise ValueError(f"{path.name} holds code ({code[:80]}), and is not opened; {INSTEAD}")


def _called(program: bytes) -> Iterator[str]:
    """What a pickle would call: module, a space, and name; nothing is run.

    Raises `ValueError` where it uses a tuple again, which torch never writes: as a key, tuples that
    each hold the one before twice keep Python's hash busy for ever.
    """
    tuples, before = set(), ""
    for operation, argument, _ in pickletools.genops(program):
        if operation.name.endswith("PUT") and before.startswith("TUPLE"):
            tuples.add(argument)
        is_used_again = operation.name.endswith("GET") and argument in tuples
        if is_used_again or operation.name in ("MEMOIZE", "DUP"):
            raise ValueError(f"its pickle uses a tuple again, and is not opened; {INSTEAD}")
        before = operation.name
        if operation.name in ("GLOBAL", "INST"):
            yield str(argument)
        elif operation.name == "STACK_GLOBAL" or operation.name.startswith("EXT"):
            yield "a name that is worked out"  # torch writes none
