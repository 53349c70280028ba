"""The graphs of every architecture: against torch, alone and in company."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_export import export
from model_export.attention import Prepared
from model_export.model import Memory, Seq2Seq
from model_export.simulate import simulate
from service import dequantise
from service.runner import Encoded, Runner, Stepped
from tests.architectures import (
    ARCHITECTURES,
    FIRST_WORD,
    PIECES,
    PRECISIONS,
    Exported,
    exported,
    network,
    reader,
    shown,
)
from tests.devices import StandIn

LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 11, 13, 17, 22, 31, 40)
STEPS = 4
Array = NDArray[np.generic]
Tensors = dict[str, Tensor]


@pytest.fixture(scope="module", params=ARCHITECTURES)
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(ARCHITECTURES[request.param], tmp_path_factory.mktemp("graphs"))


def some(lengths: Sequence[int]) -> list[list[int]]:
    """Sentences of words alone; runners and torch pad them alike."""
    rng = np.random.default_rng(2)
    return [rng.integers(FIRST_WORD, PIECES, length).tolist() for length in lengths]


def given(count: int) -> NDArray[np.int64]:
    """The same target tokens for whoever stands at a place."""
    return np.random.default_rng(3).integers(FIRST_WORD, PIECES, (count, STEPS))


def decode(
    runner: Runner, encoded: Sequence[Encoded], tokens: NDArray[np.int64], room: int = 0
) -> list[Stepped]:
    """Read tokens (B, T) on rows of slots, `room` of which are others'."""
    slots = runner.slots(len(encoded) + room)
    for row, sentence in enumerate(encoded):
        slots.put(sentence.memory, sentence.state, [row])
    slots.move([], len(encoded))
    out = []
    for column in tokens.T.tolist():
        out.append(runner.step(column, *slots.gather()))
        slots.scatter(out[-1].state, None)
    return out


def looked(model: Seq2Seq, memory: Tensors) -> list[Prepared]:
    """Return what the attentions look at, of what a graph has prepared (B, W, ...)."""
    match model.sizes.attention.kind:
        case "none":
            return []
        case "multi-head":
            halves = memory["looked"].chunk(2 * model.sizes.decoder.layers, dim=-1)
            pairs = zip(halves[::2], halves[1::2], strict=True)
            return [Prepared(keys, values, memory["mask"]) for keys, values in pairs]
        case "additive" | "concat":
            return [Prepared(memory["looked"], memory["memory"], memory["mask"])]
        case _:
            return [Prepared(memory["memory"], memory["memory"], memory["mask"])]


@torch.inference_mode()
def torch_step(model: Seq2Seq, token: list[int], memory: Tensors, state: Tensors) -> Tensors:
    """Make one torch step from the memory and the state that graphs gave."""
    known = Memory(
        torch.empty(0), memory["mask"], looked(model, memory), memory.get("keys"), first={}
    )
    kept = state
    if "past" in state:  # all rows are equally far
        kept = {"past": state["past"][:, : int(state["position"][0])]}
    step = model.step(torch.tensor(token), kept, known)
    said = {"scores": torch.log_softmax(step.logits, -1)}
    if step.cross is not None:
        in_heads = model.sizes.attention.kind == "multi-head"
        said["cross"] = step.cross if in_heads else step.cross[:, 0]
    if step.alignment is not None:
        said["alignment"] = step.alignment
    if "past" in state:
        return {**said, "past": step.state["past"][:, -1], "position": state["position"] + 1}
    return {**said, **step.state}


def differences(
    one: Exported, model: Seq2Seq, precision: export.Precision
) -> dict[str, NDArray[np.float64]]:
    """Return |torch - graph| of every output, each step from the same memory and state."""
    runner = one.runner(precision)
    encoded, tokens = runner.encode(some(LENGTHS)), given(len(LENGTHS))
    pairs, slots = encoder_pairs(model, encoded), runner.slots(len(LENGTHS))
    for row, sentence in enumerate(encoded):
        slots.put(sentence.memory, sentence.state, [row])
    slots.move([], len(LENGTHS))
    for column in tokens.T.tolist():
        memory, state = slots.gather()
        known, before = (
            {name: torch.from_numpy(value.copy()) for name, value in held.items()}
            for held in (memory, state)
        )
        stepped = runner.step(column, memory, state)
        got = {"scores": stepped.scores, **stepped.attention, **stepped.state}
        wanted = torch_step(model, column, known, before)
        assert wanted.keys() == got.keys()
        for name, value in wanted.items():
            pairs.setdefault(name, []).append((value, got[name]))
        slots.scatter(stepped.state, None)
    return {
        name: np.concatenate([np.abs(want.double().numpy() - got).ravel() for want, got in values])
        for name, values in pairs.items()
    }


@torch.inference_mode()
def encoder_pairs(
    model: Seq2Seq, encoded: Sequence[Encoded]
) -> dict[str, list[tuple[Tensor, Array]]]:
    """Return what torch and a graph say of every sentence before the first step."""
    rows = [torch.tensor(sentence) for sentence in some(LENGTHS)]
    source = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    memory = model.encode(source, torch.tensor(LENGTHS))
    wanted = {"memory": memory.states}
    if memory.keys is not None:
        wanted["keys"] = memory.keys
    if model.sizes.attention.kind in ("additive", "concat"):
        wanted["looked"] = memory.looked[0].keys
    if model.sizes.attention.kind == "multi-head":
        parts = [part for one in memory.looked for part in (one.keys, one.values)]
        wanted["looked"] = torch.cat(parts, dim=-1)
    pairs: dict[str, list[tuple[Tensor, Array]]] = {}
    for row, (length, sentence) in enumerate(zip(LENGTHS, encoded, strict=True)):
        for name in wanted.keys() & sentence.memory.keys():
            pair = wanted[name][row, :length], sentence.memory[name][:length]
            pairs.setdefault(name, []).append(pair)
        if "state" in memory.first:
            pairs.setdefault("start", []).append(
                (memory.first["state"][row], sentence.state["state"])
            )
    return pairs


def test_fp32_is_torch(one: Exported) -> None:
    for name, error in differences(one, one.model, "fp32").items():
        assert error.max() < 1e-5, name


def test_int8_is_its_simulation(one: Exported) -> None:
    """Equal but where a float32 sum lies on the border between two steps of uint8."""
    rounded = simulate(one.model, shown(one.model))
    for name, error in differences(one, rounded, "int8").items():
        assert np.quantile(error, 0.9) < 1e-4, name
        assert error.max() < 0.1, name


def test_int8_stays_near_fp32(one: Exported) -> None:
    exact, rounded = (
        decode(runner, runner.encode(some(LENGTHS)), given(len(LENGTHS)))
        for runner in map(one.runner, PRECISIONS)
    )
    assert 0 < np.abs(exact[0].scores - rounded[0].scores).mean() < 0.1


def test_int8_in_float32_stays_near_fp32(one: Exported) -> None:
    """As a device without int8 products runs it: nothing is left of them."""
    path, floats = one.folders["int8"], StandIn(floats=True)
    for name in ("encoder.onnx", "decoder.onnx"):
        content = dequantise.in_float32(reader(path)(name), name)
        spelled = onnx.load_model_from_string(content)
        assert [opset.domain for opset in spelled.opset_import] == [""]
    runners = (
        one.runner("fp32"),
        Runner(reader(path), one.about["int8"], floats),
    )
    exact, rounded = (
        decode(runner, runner.encode(some(LENGTHS)), given(len(LENGTHS))) for runner in runners
    )
    for mine, other in zip(exact, rounded, strict=True):
        assert 0 < np.abs(mine.scores - other.scores).mean() < 0.1
        for kind, rows in mine.attention.items():
            assert np.abs(rows - other.attention[kind]).max() < 0.2


def check_company(runner: Runner, rows: int) -> None:
    """Decode every sentence alone, and again among so many rows and one that is far longer."""
    sources, tokens = some(LENGTHS), given(len(LENGTHS))
    rng = np.random.default_rng(rows)
    for chosen, length in enumerate(LENGTHS):
        crowd = [chosen, *rng.integers(0, len(LENGTHS), rows - 1).tolist()]
        rng.shuffle(crowd)
        at = crowd.index(chosen)
        wide = rng.integers(FIRST_WORD, PIECES, 41 + int(rng.integers(40))).tolist()
        (alone,) = runner.encode([sources[chosen]])
        company = runner.encode([*(sources[row] for row in crowd), wide])
        for name, value in (*alone.memory.items(), *alone.state.items()):
            assert (value == {**company[at].memory, **company[at].state}[name]).all(), name
        by_itself = decode(runner, [alone], tokens[[chosen]])
        together = decode(runner, company, tokens[[*crowd, chosen]], room=3)
        for mine, ours in zip(by_itself, together, strict=True):
            assert (mine.scores[0] == ours.scores[at]).all()
            for name, row in mine.attention.items():
                assert (row[0, ..., :length] == ours.attention[name][at, ..., :length]).all(), name
            for name, state in mine.state.items():
                assert (state[0] == ours.state[name][at]).all(), name


@pytest.mark.parametrize("rows", [2, 3, 8, 32])
def test_company_and_width_do_not_show_in_int8(one: Exported, rows: int) -> None:
    check_company(one.runner("int8"), rows)


def wide_headed(decoder: str, root: Path) -> Runner:
    """A network whose heads are 256 wide: products over more than 128 are summed in pieces."""
    small = network("lstm", decoder, "multi-head", heads=1)
    sizes = dataclasses.replace(
        small,
        encoder=dataclasses.replace(small.encoder, size=256),
        decoder=dataclasses.replace(small.decoder, size=256, heads=1),
    )
    return exported(sizes, root).runner("int8")


@pytest.mark.parametrize("decoder", ["gru", "transformer"])
def test_company_does_not_show_however_wide_a_head_is(tmp_path: Path, decoder: str) -> None:
    check_company(wide_headed(decoder, tmp_path), rows=2)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_padding_is_zero_and_rows_sum_to_one(one: Exported, precision: export.Precision) -> None:
    runner, lengths = one.runner(precision), (6, 3, 15)
    encoded = runner.encode(some(lengths))
    for length, sentence in zip(lengths, encoded, strict=True):
        for values in sentence.memory.values():
            assert not values[length:].any()
        assert sentence.memory["mask"][:length].all()
    for step in decode(runner, encoded, given(3)):
        for rows in step.attention.values():
            assert rows.shape[-1] == 16
            for row, length in zip(rows, lengths, strict=True):
                assert not row[..., length:].any()
            np.testing.assert_allclose(rows.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("wide", [False, True])
def test_what_stands_behind_a_row_in_its_past_is_not_seen(tmp_path: Path, wide: bool) -> None:
    """Room for steps to come, and what an earlier sentence has left there."""
    small = network("lstm", "transformer", "multi-head")
    runner = (
        wide_headed("transformer", tmp_path) if wide else exported(small, tmp_path).runner("int8")
    )
    (encoded,) = runner.encode(some([5]))
    memory = {name: value[None] for name, value in encoded.memory.items()}
    size = encoded.state["past"].shape[1]
    rng, position = np.random.default_rng(0), np.array([9])
    past = rng.normal(size=(1, 16, size)).astype(np.float32)
    wanted = runner.step([5], memory, {"past": past, "position": position})
    for room in (0, 16, 48, 160):
        other = rng.normal(size=(1, 16 + room, size)).astype(np.float32)
        other[:, :9] = past[:, :9]
        found = runner.step([5], memory, {"past": other, "position": position})
        assert (found.scores == wanted.scores).all()
        assert (found.state["past"] == wanted.state["past"]).all()
        assert found.state["position"].tolist() == [10]
