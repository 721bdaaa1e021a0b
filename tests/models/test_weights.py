"""Weights of any file and any names: the same network, or an error that names the checkpoint."""

from __future__ import annotations

import io
import json
import pickle
import re
import resource
import shutil
import subprocess
import tarfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.checkpoints import old_name
from helpers.command import LIBRARY, Run
from helpers.models import CPU, SIZES, tiny_ast
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import ASTForAudioClassification

from tagger.errors import CheckpointError
from tagger.models.dora import fold_dora
from tagger.models.fbank import Fbank
from tagger.models.find import find_model
from tagger.models.model import load_model
from tagger.models.weights import load_network

BODY = "audio_spectrogram_transformer"


def edit(folder: Path, **changes: object) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, **changes}))


@pytest.fixture
def folder(tiny_model: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model; its weights may be replaced."""
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


def state_of(folder: Path) -> OrderedDict[str, Tensor]:
    """The weights as a network has them in memory, with torch's metadata."""
    state: OrderedDict[str, Tensor] = ASTForAudioClassification.from_pretrained(folder).state_dict()
    return state


def write(folder: Path, weights: object, kind: str = "bin") -> Path:
    """Make these the weights of a checkpoint."""
    (folder / "model.safetensors").unlink(missing_ok=True)
    path = folder / ("pytorch_model.bin" if kind == "bin" else "model.safetensors")
    torch.save(weights, path) if kind == "bin" else save_file(weights, path)
    return path


def noise(samples: int, windows: int = 3) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((windows, samples)).astype(np.float32)


def probabilities(folder: Path) -> np.ndarray:
    info = find_model(str(folder))
    model = load_model(info, replace(CPU, batch_size=3))
    return model.probabilities(noise(info.front_end.window_samples))


def refused(folder: Path, message: str) -> str:
    """The message about a checkpoint: one line with its name, which must match `message`."""
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(find_model(str(folder)), CPU)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- names and files ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("generation", [4, 5])
def test_the_names_of_either_transformers_load_from_either_file(
    folder: Path, tiny_model: Path, kind: str, generation: int
) -> None:
    state = state_of(folder)
    if generation == 4:
        for name in [*state]:
            state[old_name(name)] = state.pop(name)
        assert set(state) == set(load_file(tiny_model / "model.safetensors"))
        assert f"{BODY}.encoder.layer.0.attention.attention.query.weight" in state
    else:
        assert f"{BODY}.layers.0.attention.q_proj.weight" in state
    write(folder, state, kind)
    np.testing.assert_array_equal(probabilities(folder), probabilities(tiny_model))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_pickle_of_any_precision_becomes_float32(folder: Path, dtype: torch.dtype) -> None:
    rounded = {name: weights.to(dtype) for name, weights in state_of(folder).items()}
    write(folder, rounded)
    loaded = load_network(find_model(str(folder))).state_dict()
    assert loaded.keys() == rounded.keys()
    for name, weights in loaded.items():
        assert weights.dtype == torch.float32
        assert torch.equal(weights, rounded[name].float())


def test_parameters_are_tensors_too(folder: Path, tiny_model: Path) -> None:
    write(folder, {name: nn.Parameter(weights) for name, weights in state_of(folder).items()})
    np.testing.assert_array_equal(probabilities(folder), probabilities(tiny_model))


def test_safetensors_are_preferred_to_a_pickle(folder: Path, tiny_model: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"damaged")
    np.testing.assert_array_equal(probabilities(folder), probabilities(tiny_model))
    assert find_model(str(folder)).fingerprint == find_model(str(tiny_model)).fingerprint


def test_the_fingerprint_is_of_the_pickle_too(folder: Path) -> None:
    state = state_of(folder)
    write(folder, state)
    before = find_model(str(folder)).fingerprint
    state["classifier.dense.bias"] += 1
    write(folder, state)
    assert find_model(str(folder)).fingerprint != before


# --- pickles that mean harm -----------------------------------------------------------------------


class Code:
    """Unpickling it creates a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (self.trace,)  # type: ignore[return-value]


class Memory:
    """Unpickling it takes 64 GB."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return bytearray, (1 << 36,)


@pytest.mark.parametrize(
    "place", ["alone", "a value", "a name", "an attribute", "protocol 4", "a second pickle"]
)
def test_code_beside_tensors_is_never_run(folder: Path, tmp_path: Path, place: str) -> None:
    trace = tmp_path / "ran"
    code, state = Code(trace), state_of(folder)
    path = write(folder, state)
    if place == "alone":
        torch.save((code, state), path)
    elif place == "protocol 4":
        torch.save(state | {"x": code}, path, pickle_protocol=4)
    elif place == "a second pickle":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("pytorch_model/DATA.PKL", pickle.dumps(code, 2))
    else:
        if place == "an attribute":
            state._metadata = code  # type: ignore[attr-defined]
        elif place == "a value":
            state["classifier.dense.bias"] = code  # type: ignore[assignment]
        else:
            state[code] = torch.zeros(1)  # type: ignore[index]
        torch.save(state, path)
    assert "was not opened; ask for the weights as model.safetensors" in refused(folder, "code")
    assert not trace.exists()
    pickle.loads(pickle.dumps(code))
    assert trace.exists()  # else this test would prove nothing


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors", "evil.safetensors"])
def test_a_plain_pickle_is_never_run(folder: Path, tmp_path: Path, name: str) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").unlink()
    code = pickle.dumps(Code(tmp_path / "ran"))
    (folder / name).write_bytes(code.ljust(len(whole), b"."))
    index = {"metadata": {}, "weight_map": {"classifier.dense.bias": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, "weights")
    assert not (tmp_path / "ran").exists()


def as_tar(path: Path) -> None:
    """Torch's first file format, with a pickle of code in it."""
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "storages", "tensors", "pickle"):
            data = pickle.dumps(Memory()) * 2000
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def compress(path: Path) -> None:
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in members.items():
            new.writestr(name, data)
        new.writestr("pytorch_model/zeros", bytes(10_000_000))


def overlap(path: Path) -> None:
    """Let the members of an archive overlap, so that together they are larger than the file."""
    whole = path.read_bytes()
    with zipfile.ZipFile(path, "a") as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
        archive.filelist += [largest] * 100
        archive._didModify = True  # type: ignore[attr-defined]
    assert path.stat().st_size < 2 * len(whole)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def cut_and_padded(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2].ljust(len(whole), b"\0"))


def first_format(path: Path) -> None:
    state = torch.load(path, weights_only=True)
    torch.save(state, path, _use_new_zipfile_serialization=False)


def changed(change: Callable[[OrderedDict[str, Tensor]], object]) -> Callable[[Path], None]:
    """Replace the weights by the changed ones."""

    def damage(path: Path) -> None:
        torch.save(change(torch.load(path, weights_only=True)), path)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (as_tar, "not written by torch 1.6 or later"),
        (first_format, "not written by torch 1.6 or later"),
        (cut, "cut off"),
        (cut_and_padded, "cut off"),
        (compress, "is compressed, and was not opened"),
        (overlap, "claims to be larger than it is"),
        (changed(lambda state: state | {"x": Memory()}), r"code \(__builtin__.bytearray\)"),
        (
            changed(lambda state: state | {"x": torch.zeros(1).expand(1 << 20, 1 << 20)}),
            "larger than the file",
        ),
        (changed(lambda state: {"state_dict": state | {"x": 1}}), "more than named tensors"),
        (changed(lambda state: state | {"epoch": 7}), "more than named tensors"),
        (changed(lambda state: {5: torch.zeros(5)} | state), "more than named tensors"),
        (changed(lambda state: [*state.values()]), "more than named tensors"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_pickle_that_torch_did_not_write_is_refused_and_takes_no_memory(
    folder: Path, damage: Callable[[Path], None], message: str
) -> None:
    path = write(folder, state_of(folder))
    size = path.stat().st_size
    damage(path)
    with path.open("ab") as file:  # else it is too small for its config
        file.truncate(max(size, path.stat().st_size) if damage is not cut else size - 1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(folder, message)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


# --- weights that do not fit ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("labels", [2, 519])
def test_a_head_and_labels_that_differ_in_number_are_refused(
    folder: Path, kind: str, labels: int
) -> None:
    write(folder, state_of(folder), kind)
    # "ab", "ac" ...: names that only count are refused for that
    digits = str.maketrans("0123456789", "abcdefghij")
    edit(folder, id2label={str(index): str(index).translate(digits) for index in range(labels)})
    refused(folder, f"its head has 4 outputs, its config {labels} labels")


def test_labels_that_contradict_their_number_are_refused(folder: Path) -> None:
    edit(folder, num_labels=4)
    find_model(str(folder))
    edit(folder, num_labels=5)
    refused(folder, "num_labels is 5, and id2label has 4")


HEAD = "classifier.dense.weight"


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop(HEAD), f"missing: {HEAD}"),
        (lambda state: state.update(new=torch.zeros(3)), "left over: new"),
        (lambda state: state.update({HEAD: state[HEAD][:, 1:]}), f"of another shape: {HEAD}"),
        (lambda state: state.update({HEAD: torch.tensor(1.0)}), "cannot be loaded"),
        (lambda state: state[HEAD].fill_(float("nan")), "not all finite"),
        (lambda state: state[f"{BODY}.layernorm.bias"].fill_(-torch.inf), "not all finite"),
        (lambda state: state.clear(), "missing"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    folder: Path, kind: str, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    state = state_of(folder)
    change(state)
    state = {name: weights.contiguous() for name, weights in state.items()}
    path = write(folder, state, kind)
    if not state:  # else it is too small for its config
        if kind == "safetensors":
            save_file({"new": torch.zeros(100_000)}, path)
        else:
            torch.save({"new": torch.zeros(100_000)}, path)
    refused(folder, message)


# --- DoRA by hand, and a head of two layers -------------------------------------------------------

ALPHA, RANK = 4.247, 2
WIDTH, INNER = SIZES["hidden_size"], SIZES["intermediate_size"]
LABELS = [f"genre {chr(97 + number)}" for number in range(10)]


@dataclass(frozen=True)
class Layout:
    """How hand-written code stores DoRA's factors."""

    product: str = "by hand"  # shapes and scale of A and B; "as peft" has them the other way round
    norm: str = "column"  # or "row"
    inside: str = ".linear"  # where the adapted weights are
    lora: str = ".lora"  # where A and B are
    flat: bool = False  # m is a vector
    kind: str = "bin"
    old: bool = True  # names as transformers 4 had them


class Adapted(nn.Module):
    """A linear layer with DoRA, computed at run time."""

    def __init__(self, linear: nn.Linear, layout: Layout, alpha: float) -> None:
        super().__init__()
        self.linear, self.alpha = linear, alpha
        self.is_by_hand, self.dim = layout.product == "by hand", int(layout.norm == "row")
        shapes = ((INNER, RANK), (RANK, WIDTH))
        a, b = shapes if self.is_by_hand else (shape[::-1] for shape in shapes)
        self.a, self.b = (nn.Parameter(torch.randn(shape) * 0.3) for shape in (a, b))
        lengths = linear.weight.norm(dim=self.dim, keepdim=True)
        self.m = nn.Parameter(lengths * torch.empty_like(lengths).uniform_(0.5, 1.5))

    def forward(self, hidden: Tensor) -> Tensor:
        if self.is_by_hand:
            update = self.alpha * torch.einsum("ir,ro->oi", self.a, self.b)
        else:
            update = self.alpha / RANK * torch.einsum("ri,or->oi", self.a, self.b)
        direction = nn.functional.normalize(self.linear.weight + update, dim=self.dim)
        return nn.functional.linear(hidden, self.m * direction, self.linear.bias)


def best_model(
    folder: Path, layout: Layout = Layout(), alpha: float = ALPHA, **sizes: int
) -> ASTForAudioClassification:
    """Save an AST with DoRA on its last two layers and a head of two, with a plain AST's config.

    Gives the network that computes it at run time.
    """
    network = tiny_ast(LABELS, num_hidden_layers=4, **sizes)
    network.classifier.dense = nn.Sequential(
        nn.Dropout(0.05), nn.Linear(WIDTH, 200), nn.GELU(), nn.Dropout(0.1), nn.Linear(200, 10)
    )
    for name, weights in network.named_parameters():
        if "layernorm" not in name:
            nn.init.normal_(weights, std=0.2)
    network.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    state = network.state_dict()
    for number in (2, 3):
        layer = network.audio_spectrogram_transformer.layers[number].mlp
        adapted = layer.fc2 = Adapted(layer.fc2, layout, alpha)
        prefix = f"{BODY}.layers.{number}.mlp.fc2"
        for part in ("weight", "bias"):
            state[f"{prefix}{layout.inside}.{part}"] = state.pop(f"{prefix}.{part}")
        factors = {"A": adapted.a.data, "B": adapted.b.data}
        state |= {f"{prefix}{layout.lora}.{name}": factor for name, factor in factors.items()}
        state[f"{prefix}.m"] = adapted.m.data.flatten() if layout.flat else adapted.m.data
    if layout.old:
        state = OrderedDict((old_name(name), weights) for name, weights in state.items())
    write(folder, state, layout.kind)
    return network.eval()


def with_features(folder: Path, tiny_model: Path) -> Path:
    shutil.copy(tiny_model / "preprocessor_config.json", folder)
    return folder


def at_run_time(network: ASTForAudioClassification, folder: Path) -> np.ndarray:
    """The probabilities of noise from the network that computes DoRA at run time."""
    front_end = find_model(str(folder)).front_end
    waves = torch.from_numpy(noise(front_end.window_samples))
    with torch.inference_mode():
        logits = network(input_values=Fbank(front_end)(waves)).logits
    result: np.ndarray = logits.softmax(dim=-1).numpy()
    return result


@pytest.mark.parametrize(
    "layout",
    [
        Layout(),
        Layout(old=False),
        Layout(kind="safetensors"),
        Layout(inside="", lora=""),
        Layout(inside=".base_layer", lora=""),
        Layout(inside=""),
        Layout(flat=True),
        Layout(norm="row"),
        Layout(norm="row", flat=True),
        Layout(product="as peft"),
        Layout(product="as peft", norm="row", inside=".base_layer", old=False),
    ],
    ids=str,
)
def test_folded_dora_gives_the_probabilities_of_run_time(
    tmp_path: Path, tiny_model: Path, layout: Layout
) -> None:
    folder = tmp_path / "Best_Model"
    network = best_model(folder, layout)
    with_features(folder, tiny_model)
    assert json.loads((folder / "config.json").read_text())["architectures"] == [
        "ASTForAudioClassification"
    ]
    actual = probabilities(folder)
    np.testing.assert_allclose(actual, at_run_time(network, folder), atol=1e-5)
    for layer in network.audio_spectrogram_transformer.layers[2:]:
        layer.mlp.fc2 = layer.mlp.fc2.linear
    assert np.abs(actual - at_run_time(network, folder)).max() > 0.05  # so the factors matter


@pytest.mark.parametrize("key", ["dora_alpha", "lora_alpha", "alpha"])
def test_alpha_is_the_configs_where_it_has_one(tmp_path: Path, tiny_model: Path, key: str) -> None:
    network = best_model(tmp_path, alpha=1.5)
    with_features(tmp_path, tiny_model)
    assert np.abs(probabilities(tmp_path) - at_run_time(network, tmp_path)).max() > 0.01
    edit(tmp_path, **{key: 1.5})
    np.testing.assert_allclose(probabilities(tmp_path), at_run_time(network, tmp_path), atol=1e-5)


@pytest.mark.parametrize("alpha", ["4", True, None, float("nan"), 10**400])
def test_an_impossible_alpha_is_refused(tmp_path: Path, tiny_model: Path, alpha: object) -> None:
    best_model(tmp_path)
    with_features(tmp_path, tiny_model)
    edit(tmp_path, alpha=alpha)
    refused(tmp_path, "cannot be loaded")


@pytest.fixture(scope="module")
def full_size(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ASTForAudioClassification]:
    """A checkpoint as hand-written code leaves it, and its network at run time."""
    folder = tmp_path_factory.mktemp("models") / "Best_Model"
    return folder, best_model(folder, max_length=1024, num_mel_bins=128)


def test_without_a_preprocessor_config_the_features_are_asts(
    full_size: tuple[Path, ASTForAudioClassification],
) -> None:
    folder, network = full_size
    front_end = find_model(str(folder)).front_end
    assert (front_end.rate, front_end.frames, front_end.mel_bins) == (16_000, 1024, 128)
    assert (front_end.mean, front_end.std) == (-4.2677393, 4.5689974)
    np.testing.assert_allclose(probabilities(folder), at_run_time(network, folder), atol=1e-5)


def test_features_of_another_size_are_not_guessed(tmp_path: Path) -> None:
    best_model(tmp_path)
    refused(tmp_path, "preprocessor_config.json is missing")


def test_a_track_is_tagged_by_a_model_with_dora_by_hand(
    run: Run, full_size: tuple[Path, ASTForAudioClassification], tmp_path: Path
) -> None:
    song = shutil.copy(LIBRARY / "02 Quiet Fugue.flac", tmp_path)
    deciding = ("--on-existing", "replace", "--min-confidence", "0", "--windows", "1")
    options = ("--write-tags", *deciding, "--batch-size", "1", "--csv", "-")
    done: subprocess.CompletedProcess[str] = run(song, "--model", full_size[0], *options)
    assert done.returncode == 0, done.stderr
    assert ",written," in done.stdout


FC2 = f"{BODY}.encoder.layer.3.output.dense"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop(f"{FC2}.m"), f"{FC2} lacks m of"),
        (lambda state: state.pop(f"{FC2}.lora.A"), f"{FC2} lacks A of"),
        (lambda state: state.pop(f"{FC2}.linear.weight"), f"{FC2} has .* and 0 weights"),
        (lambda state: state.update({f"{FC2}.weight": torch.zeros(3)}), "and 2 weights"),
        (lambda state: state.update({f"{FC2}.A": torch.zeros(3)}), f"{FC2} has two factors A"),
        (lambda state: state.update({f"{FC2}.lora.A": torch.zeros(3)}), f"{FC2}: A .* do not fit"),
        (lambda state: state.update({f"{FC2}.lora.B": torch.zeros(2, 9)}), f"{FC2}: A .* not fit"),
        (lambda state: state.update({f"{FC2}.m": torch.zeros(1, 9)}), f"{FC2}: m .* does not fit"),
        (lambda state: state.update({f"{FC2}.m": torch.tensor(1.0)}), f"{FC2}: m .* does not fit"),
        (lambda state: state.update({f"{FC2}.linear.weight": torch.ones(4)}), "are not a matrix"),
        (lambda state: state.update({f"{FC2}.m": torch.full((1, INNER), torch.nan)}), "not all fi"),
        (
            lambda state: [state[f"{FC2}.{name}"].zero_() for name in ("lora.B", "linear.weight")],
            f"{FC2}: the norm of a column is zero",
        ),
        (lambda state: state[f"{FC2}.lora.A"].fill_(torch.nan), f"{FC2}: .* or not a number"),
    ],
)
def test_factors_that_do_not_fit_are_refused_by_their_layer(
    tmp_path: Path, tiny_model: Path, change: Callable[[dict[str, Tensor]], object], message: str
) -> None:
    best_model(tmp_path)
    with_features(tmp_path, tiny_model)
    state = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    change(state)
    write(tmp_path, state)
    refused(tmp_path, message)


@pytest.mark.parametrize(
    ("a", "b", "m", "message"),
    [
        ((4, 4), (4, 4), (1, 4), "A .* are ambiguous"),
        ((4, 2), (2, 4), (4,), "m .* is ambiguous"),
        ((4, 0), (0, 4), (1, 4), "A .* do not fit"),
    ],
)
def test_ambiguous_shapes_are_refused(
    a: tuple[int, ...], b: tuple[int, ...], m: tuple[int, ...], message: str
) -> None:
    weights = {"x.weight": torch.ones(4, 4), "x.A": torch.ones(a), "x.B": torch.ones(b)}
    with pytest.raises(ValueError, match=f"x: {message}"):
        fold_dora({**weights, "x.m": torch.ones(m)}, 1.0)


def test_folding_does_not_change_its_input() -> None:
    weights = {
        "x.weight": torch.ones(3, 4), "x.A": torch.ones(4, 2), "x.B": torch.zeros(2, 3),
        "x.m": torch.ones(1, 4) * 2, "y.weight": torch.ones(2),
    }  # fmt: skip
    before = {name: tensor.clone() for name, tensor in weights.items()}
    folded = fold_dora(weights, 4.0)
    assert weights.keys() == before.keys()
    assert all(torch.equal(weights[name], before[name]) for name in before)
    assert folded.keys() == {"x.weight", "y.weight"}
    torch.testing.assert_close(folded["x.weight"], torch.full((3, 4), 2 / 3**0.5))


@pytest.mark.parametrize("width", [24, 200])
def test_a_head_of_two_layers_is_recognised_by_its_weights(folder: Path, width: int) -> None:
    state = state_of(folder)
    weights, bias = state.pop(HEAD), state.pop("classifier.dense.bias")
    state["classifier.dense.1.weight"] = torch.randn(width, WIDTH)
    state["classifier.dense.1.bias"] = torch.randn(width)
    state["classifier.dense.4.weight"] = torch.randn(4, width)
    state["classifier.dense.4.bias"] = bias
    write(folder, state)
    network = load_network(find_model(str(folder)))
    assert network.classifier.dense[1].out_features == width
    assert torch.equal(network.classifier.dense[4].weight, state["classifier.dense.4.weight"])
    state[HEAD] = weights
    write(folder, state)
    refused(folder, re.escape(f"left over: {HEAD}"))


# --- what is small and would grow -----------------------------------------------------------------


def test_a_key_that_would_be_hashed_for_ever_is_refused(folder: Path) -> None:
    program = b"\x80\x02}q\x00K\x01q\x01" + b"q\x02h\x02\x86" * 60 + b"K\x01s."  # nested tuples
    path = write(folder, {"w": torch.zeros(200_000)})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, program if name.endswith("data.pkl") else content)
    refused(folder, "reuses a tuple, and was not opened")


def test_labels_without_a_head_take_no_memory(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    write(folder, {n: w for n, w in weights.items() if "classifier.dense" not in n}, "safetensors")
    labels = {str(index): f"x{index:x}" for index in range(50_000)}
    edit(folder, id2label=labels, label2id={}, mlp_hidden=3000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(folder, "too few")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB


@pytest.mark.parametrize("size", [10**3000, 10**10], ids=["long", "large"])
def test_a_size_beyond_any_network_is_refused_in_one_line(folder: Path, size: int) -> None:
    edit(folder, hidden_size=size)
    assert "hidden_size must be a whole number" in refused(folder, "hidden_size")
