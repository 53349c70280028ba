"""The exported graphs: against torch, alone and in company, and as the manifest describes them."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from model_export import config, export, spelling
from model_export.model import Memory, Seq2Seq
from model_export.simulate import simulate
from service.bundle import Model, parse

Array = NDArray[Any]
Tensors = dict[str, Array]

PIECES = 40
SIZES = config.Model(
    source_embedding=16,
    target_embedding=18,
    encoder=8,
    encoder_layers=2,
    decoder=16,
    decoder_top=14,
    alignment_head=8,
    dropout=0.1,
    word_dropout=0.0,
    embedding_std=0.1,
)
PRECISIONS = ("fp32", "int8")
LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 17, 22, 31, 40)
MEMORY = ("memory", "keys", "mask")
STEPS = 4


def lively_model() -> Seq2Seq:
    """Return a tiny model whose activations fill their range, as a trained one's do."""
    torch.manual_seed(1)
    model = Seq2Seq(PIECES, PIECES, SIZES).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=1.5 * weight.shape[-1] ** -0.5)
    return model


class Graphs:
    """Both sessions of an exported folder."""

    def __init__(self, folder: Path) -> None:
        self.encoder, self.decoder = (self._session(folder, r) for r in ("encoder", "decoder"))

    @staticmethod
    def _session(folder: Path, role: str) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = str(folder / f"{role}.onnx")
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    @staticmethod
    def _run(session: onnxruntime.InferenceSession, feeds: Tensors) -> Tensors:
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, feeds), strict=True))

    def encode(self, sources: list[Array], width: int) -> Tensors:
        """Encode sentences, padded to `width`."""
        padded = np.zeros((len(sources), width), np.int64)
        for row, source in enumerate(sources):
            padded[row, : len(source)] = source
        lengths = np.array([len(source) for source in sources], np.int64)
        return self._run(self.encoder, {"source": padded, "lengths": lengths})

    def step(self, token: Array, state: Array, encoded: Tensors) -> Tensors:
        """Make one step."""
        memory = {name: encoded[name] for name in MEMORY}
        return self._run(self.decoder, {"token": token, "state": state, **memory})

    def decode(self, sources: list[Array], width: int, tokens: Array) -> list[Tensors]:
        """Encode, then read tokens (B, T); return what the encoder and each step gave."""
        out = [self.encode(sources, width)]
        state = out[0]["start"]
        for column in tokens.T:
            out.append(self.step(column, state, out[0]))
            state = out[-1]["next_state"]
        return out


@pytest.fixture(scope="module")
def model() -> Seq2Seq:
    return lively_model()


@pytest.fixture(scope="module")
def folders(model: Seq2Seq, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("graphs")
    export.export_fp32(model, root / "fp32")
    export.export_int8(model, root / "int8")
    return {name: root / name for name in PRECISIONS}


@pytest.fixture(scope="module")
def graphs(folders: dict[str, Path]) -> dict[str, Graphs]:
    return {name: Graphs(folder) for name, folder in folders.items()}


@pytest.fixture(scope="module")
def sources() -> list[Array]:
    rng = np.random.default_rng(2)
    return [rng.integers(4, PIECES, length) for length in LENGTHS]


@pytest.fixture(scope="module")
def tokens() -> Array:
    return np.random.default_rng(3).integers(4, PIECES, (len(LENGTHS), STEPS))


def padded(length: int) -> int:
    """Return the narrowest axis that holds `length` tokens."""
    return -(-length // export.SOURCE_MULTIPLE) * export.SOURCE_MULTIPLE


def torch_step(
    model: Seq2Seq, given: Tensors, token: Array, state: Array
) -> tuple[torch.Tensor, ...]:
    """Make one torch step from the memory that a graph gave."""
    memory = Memory(*(torch.from_numpy(given[name]) for name in (*MEMORY, "start")))
    with torch.inference_mode():
        logits, *rest = model.step(torch.from_numpy(token), torch.from_numpy(state), memory)
        return torch.log_softmax(logits, -1), *rest


def differences(
    model: Seq2Seq, graphs: Graphs, sources: list[Array], tokens: Array
) -> dict[str, NDArray[np.float64]]:
    """Return |torch - graph| of every output, each step from the same memory and state."""
    out = graphs.decode(sources, padded(max(LENGTHS)), tokens)
    encoded = out[0]
    rows = [torch.from_numpy(source) for source in sources]
    source = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    with torch.inference_mode():
        memory = model.encode(source, torch.tensor(LENGTHS))
    real = memory.mask.unsqueeze(-1)
    width = source.shape[1]
    pairs = {
        "memory": [(memory.states, encoded["memory"][:, :width])],
        "keys": [(memory.keys * real, encoded["keys"][:, :width])],
        "start": [(memory.start, encoded["start"])],
    }
    state = encoded["start"]
    for column, step in zip(tokens.T, out[1:], strict=True):
        expected = torch_step(model, encoded, column, state)
        for name, value in zip(
            ("log_probabilities", "cross", "alignment", "next_state"), expected, strict=True
        ):
            pairs.setdefault(name, []).append((value, step[name]))
        state = step["next_state"]
    return {
        name: np.abs(np.stack([expected.double().numpy() - got for expected, got in values]))
        for name, values in pairs.items()
    }


def test_fp32_is_torch(
    model: Seq2Seq, graphs: dict[str, Graphs], sources: list[Array], tokens: Array
) -> None:
    for name, error in differences(model, graphs["fp32"], sources, tokens).items():
        assert error.max() < 1e-5, name


def test_int8_is_its_simulation(
    model: Seq2Seq, graphs: dict[str, Graphs], sources: list[Array], tokens: Array
) -> None:
    """Equal but where a float32 sum lies on the border between two steps of uint8."""
    for name, error in differences(simulate(model), graphs["int8"], sources, tokens).items():
        assert np.quantile(error, 0.9) < 1e-4, name
        assert error.max() < 0.1, name


def test_int8_stays_near_fp32(
    graphs: dict[str, Graphs], sources: list[Array], tokens: Array
) -> None:
    exact, rounded = (graphs[name].decode(sources, 40, tokens) for name in PRECISIONS)
    assert 0 < np.abs(exact[0]["memory"] - rounded[0]["memory"]).max() < 0.1
    assert 0 < np.abs(exact[1]["log_probabilities"] - rounded[1]["log_probabilities"]).mean() < 0.1


@pytest.mark.parametrize("rows", [2, 3, 8, 32])
def test_company_and_width_do_not_show_in_int8(
    graphs: dict[str, Graphs], sources: list[Array], tokens: Array, rows: int
) -> None:
    rng = np.random.default_rng(rows)
    for chosen, source in enumerate(sources):
        length = len(source)
        crowd = [chosen, *rng.integers(0, len(sources), rows - 1)]
        rng.shuffle(crowd)
        at = crowd.index(chosen)
        width = padded(max(LENGTHS) + int(rng.integers(0, 40)))
        alone = graphs["int8"].decode([source], padded(length), tokens[[chosen]])
        company = graphs["int8"].decode([sources[row] for row in crowd], width, tokens[crowd])
        for one, many in zip(alone, company, strict=True):
            for name, value in one.items():
                left, right = value[0], many[name][at]
                if "source" in _axes(name):
                    left, right = left[:length], right[:length]
                assert np.array_equal(left, right), (name, rows)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_padding_is_zero_and_rows_sum_to_one(
    graphs: dict[str, Graphs], sources: list[Array], tokens: Array, precision: str
) -> None:
    encoded, *steps = graphs[precision].decode(sources, 44, tokens)
    padding = np.arange(44) >= np.array(LENGTHS)[:, None]
    assert np.array_equal(encoded["mask"], ~padding)
    assert not encoded["memory"][padding].any()
    assert not encoded["keys"][padding].any()
    for step, name in itertools.product(steps, ("cross", "alignment")):
        assert not step[name][padding].any()
        np.testing.assert_allclose(step[name].sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_graphs_are_as_described(folders: dict[str, Path], precision: export.Precision) -> None:
    described = export.describe(precision)
    assert json.loads(json.dumps(described)) == described
    for about in described["graphs"]:
        made = onnx.load(folders[precision] / about["file"])
        assert made.ir_version == spelling.IR_VERSION
        assert {entry.domain: entry.version for entry in made.opset_import}[""] == described[
            "opset"
        ]
        assert made.doc_string
        for side, values in (("inputs", made.graph.input), ("outputs", made.graph.output)):
            assert [value.name for value in values] == [item["name"] for item in about[side]]
            for value, item in zip(values, about[side], strict=True):
                _check_axes(value, item["axes"])


def test_fp32_needs_standard_operators_only(folders: dict[str, Path]) -> None:
    for path in folders["fp32"].iterdir():
        assert [entry.domain for entry in onnx.load(path).opset_import] == [""]


def test_a_manifest_takes_the_description() -> None:
    limits = {"source_tokens": 9, "target_tokens": 9, "source_multiple": export.SOURCE_MULTIPLE}
    special = {"pad": 0, "bos": 2, "eos": 3}
    model = parse(Model, {**export.describe("int8"), "special": special, "limits": limits}, "here")
    assert model.memory == MEMORY
    assert [state.output for state in model.state] == ["next_state"]
    assert [(row.kind, row.delay) for row in model.attention] == [("cross", 0), ("alignment", 1)]
    assert model.scales["zero_point"] == 128


def test_int8_takes_a_byte_a_weight(model: Seq2Seq, folders: dict[str, Path]) -> None:
    for path in (folders["int8"] / f"{role}.onnx" for role in ("encoder", "decoder")):
        stored = {item.name: item for item in onnx.load(path).graph.initializer}
        large = [item for item in stored.values() if len(item.dims) > 1 and item.dims[0] > 1]
        assert large
        assert all(item.data_type == onnx.TensorProto.INT8 for item in large)
        assert sum(item.dims[0] == PIECES for item in large) == 1  # the embedding, once


def test_the_folder_holds_the_graphs(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["candidates.onnx", "decoder.onnx", "encoder.onnx"]


def _axes(name: str) -> list[str]:
    tensors = itertools.chain(*(graph["outputs"] for graph in export.describe("int8")["graphs"]))
    return next(tensor["axes"] for tensor in tensors if tensor["name"] == name)


def _check_axes(value: onnx.ValueInfoProto, axes: list[str]) -> None:
    """Dynamic axes have their name in the graph, the others the size that it stands for."""
    sizes = {"memory": 16, "alignment": 8, "decoder": 30, "vocabulary": PIECES}
    found = [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
    assert found == [sizes.get(axis, axis) for axis in axes]
