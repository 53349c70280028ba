"""Runner: shapes, padding, exact independence of the batch, and typed failures."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from service.bundle import Bundle
from service.device import Array
from service.errors import DamagedBundle, StepFailed
from service.runner import Encoded, Runner, Stepped
from tests.architectures import exported, network, reader

EOS = 3


@pytest.fixture(scope="module")
def runner(toy_bundle: Bundle) -> Runner:
    return Runner(toy_bundle.read, toy_bundle.manifest.model)


def source(length: int) -> list[int]:
    rng = np.random.default_rng(length)
    return [*rng.integers(300, 8000, length - 1).tolist(), EOS]


def step(runner: Runner, rows: list[Encoded], tokens: list[int], width: int = 0) -> Stepped:
    """Run rows of different widths as one batch, padded to the widest, or to `width`."""
    widest = max(width, *(len(row.memory["mask"]) for row in rows))
    memory = {
        name: np.stack(
            [
                np.pad(
                    r.memory[name], [(0, widest - len(r.memory[name]))] + [(0, 0)] * (a.ndim - 1)
                )
                for r in rows
            ]
        )
        for name, a in rows[0].memory.items()
    }
    state = {name: np.stack([row.state[name] for row in rows]) for name in rows[0].state}
    return runner.step(tokens, memory, state)


def test_shapes_are_those_of_the_manifest(runner: Runner) -> None:
    (encoded,) = runner.encode([source(5)])
    assert encoded.memory["memory"].shape == (8, 64)
    assert encoded.memory["mask"].tolist() == [True] * 5 + [False] * 3
    stepped = step(runner, [encoded], [2])
    assert stepped.scores.shape == (1, 8000)
    assert {kind: rows.shape for kind, rows in stepped.attention.items()} == {
        "cross": (1, 8),
        "alignment": (1, 8),
    }


def test_attention_is_zero_on_padding_and_sums_to_one(runner: Runner) -> None:
    encoded = runner.encode([source(5), source(14)])
    stepped = step(runner, encoded, [2, 400])
    for rows in stepped.attention.values():
        assert rows.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        assert (rows[0, 5:] == 0).all()
        assert (rows[1, 14:] == 0).all()


def test_batch_mates_and_padding_change_nothing_to_the_last_bit(runner: Runner) -> None:
    lengths = [1, 2, 3, 5, 8, 13, 21, 40]
    crowd = runner.encode([source(length) for length in lengths])
    together = step(runner, crowd, [500 + length for length in lengths])
    for row, length in enumerate(lengths):
        (alone,) = runner.encode([source(length)])
        for name, value in alone.memory.items():
            assert (value == crowd[row].memory[name]).all()
        for width in (0, 60):
            one = step(runner, [alone], [500 + length], width)
            assert (one.scores[0] == together.scores[row]).all()
            for kind, rows in one.attention.items():
                assert (rows[0, :length] == together.attention[kind][row, :length]).all()
            for name, state in one.state.items():
                assert (state[0] == together.state[name][row]).all()


def test_scores_are_log_probabilities_and_the_best_come_first(runner: Runner) -> None:
    scores = step(runner, runner.encode([source(5), source(9)]), [2, 400]).scores
    assert np.exp(scores.astype(np.float64)).sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    top, tokens = runner.top(scores, 6)
    assert (tokens == np.argsort(-scores, axis=1, kind="stable")[:, :6]).all()
    assert (top == np.take_along_axis(scores, tokens, 1)).all()
    assert runner.top(scores, 0)[1].shape == (2, 0)
    assert runner.top(scores, 10**6)[1].shape == scores.shape


def test_of_equal_tokens_the_lower_comes_first(runner: Runner) -> None:
    scores = np.zeros((3, 8000), np.float32)
    for count in (1, 4, 16):
        assert (runner.top(scores, count)[1] == np.arange(count)).all()


def test_ids_out_of_range_fail_with_a_type(runner: Runner) -> None:
    with pytest.raises(StepFailed):
        runner.encode([[10**6, EOS]])


@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_sentence_that_the_encoder_breaks_is_marked_alone(
    toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    runner = Runner(toy_bundle.read, toy_bundle.manifest.model)
    session = runner._encoder

    class Breaking:
        def run(self, outputs: list[str], feeds: Mapping[str, Array]) -> dict[str, Array]:
            out = session.run(outputs, feeds)
            assert out["memory"].shape[:2] == (3, 8)
            out["memory"][at, 2, 7] = np.nan
            return dict(out)

    monkeypatch.setattr(runner, "_encoder", Breaking())
    encoded = runner.encode([source(4), source(7), source(5)])
    assert [one.broken for one in encoded] == [row == at for row in range(3)]


def test_a_file_that_is_no_graph_is_named(toy_bundle: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(toy_bundle.folder, tmp_path / "toy"))
    (folder / "decoder.onnx").write_bytes(b"no graph")
    with pytest.raises(DamagedBundle, match=r"decoder\.onnx cannot be loaded"):
        Runner(reader(folder), toy_bundle.manifest.model)


def test_a_tensor_that_the_graph_lacks_is_named(toy_bundle: Bundle) -> None:
    model = replace(toy_bundle.manifest.model, memory=("memory", "keys", "mask", "ghost"))
    with pytest.raises(DamagedBundle, match="ghost"):
        Runner(toy_bundle.read, model)


def targets(*lengths: int) -> list[list[int]]:
    rng = np.random.default_rng(1)
    return [[*rng.integers(300, 8000, length - 1).tolist(), EOS] for length in lengths]


def test_given_targets_are_read_at_once(runner: Runner) -> None:
    assert runner.forces
    lengths = (5, 1, 9)
    encoded = runner.encode([source(6), source(14), source(3)])
    for found, length in zip(runner.force(encoded, targets(*lengths)), lengths, strict=True):
        assert found.scores.shape == (length,)
        assert (found.scores < 0).all()
        for rows in found.attention.values():
            assert rows.shape == (length, 16), "padded to the widest source"
            assert rows.sum(axis=1) == pytest.approx(1.0, abs=1e-5)


def test_what_is_read_at_once_is_what_the_steps_say_to_the_last_bit(runner: Runner) -> None:
    (encoded,), (target,) = runner.encode([source(6)]), targets(7)
    (found,) = runner.force([encoded], [target])
    slots = runner.slots(1)
    slots.put(encoded.memory, encoded.state, [0])
    slots.move([], 1)
    for at, (token, following) in enumerate(zip([2, *target], target, strict=False)):
        stepped = runner.step([token], *slots.gather())
        slots.scatter(stepped.state, None)
        assert stepped.scores[0, following] == found.scores[at]
        for kind, rows in stepped.attention.items():
            assert (rows[0] == found.attention[kind][at]).all()


def test_a_bundle_without_a_graph_for_it_reads_no_target_at_once(toy_bundle: Bundle) -> None:
    model = toy_bundle.manifest.model
    graphs = tuple(graph for graph in model.graphs if graph.role != "forced")
    assert not Runner(toy_bundle.read, replace(model, graphs=graphs)).forces


def test_a_target_out_of_range_fails_with_a_type(runner: Runner) -> None:
    encoded = runner.encode([source(4)])
    with pytest.raises(StepFailed):
        runner.force(encoded, [[10**6, EOS]])


def test_a_graph_that_loses_positions_fails_with_a_type(toy_bundle: Bundle, tmp_path: Path) -> None:
    """It would be described as it should be, and give something else."""
    folder = Path(shutil.copytree(toy_bundle.folder, tmp_path / "toy"))
    graph = onnx.load(folder / "forced.onnx")
    (last,) = (node for node in graph.graph.node if "log_probabilities" in node.output)
    last.output[0] = "lying"
    graph.graph.node.append(helper.make_node("Transpose", ["lying"], ["log_probabilities"]))
    onnx.save(graph, folder / "forced.onnx")
    wrong = Runner(reader(folder), toy_bundle.manifest.model)
    with pytest.raises(StepFailed, match="has lost some"):
        wrong.force(wrong.encode([source(4)]), targets(3))


def test_a_tensor_that_the_graph_for_given_targets_lacks_is_named(
    toy_bundle: Bundle, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(toy_bundle.folder, tmp_path / "toy"))
    shutil.copyfile(folder / "decoder.onnx", folder / "forced.onnx")
    with pytest.raises(DamagedBundle, match="no tensor 'tokens'"):
        Runner(reader(folder), toy_bundle.manifest.model)


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    sizes = network("lstm", "transformer", "multi-head", layers=2)
    return exported(sizes, tmp_path_factory.mktemp("transformer")).runner("int8")


def test_a_state_that_grows_starts_empty_and_gives_an_entry_a_step(transformer: Runner) -> None:
    (encoded,) = transformer.encode([[5, 6, 7, EOS]])
    assert transformer.model.growing == {"past"}
    assert encoded.state["past"].shape[0] == 0
    slots = transformer.slots(2)
    slots.put(encoded.memory, encoded.state, [0, 1])
    slots.move([], 2)
    for count in range(3):
        memory, state = slots.gather()
        assert state["position"].tolist() == [count] * 2
        stepped = transformer.step([8, 9], memory, state)
        assert stepped.attention["cross"].shape == (2, 2, 4), "rows, heads, source"
        assert stepped.attention["alignment"].shape == (2, 4)
        assert stepped.state["past"].shape == (2, state["past"].shape[2])
        slots.scatter(stepped.state, None)


def test_a_model_without_attention_says_none(tmp_path: Path) -> None:
    plain = exported(network("gru", "lstm", "none", alignment_head=0), tmp_path).runner("int8")
    assert not plain.model.growing
    stepped = step(plain, plain.encode([[5, 6, EOS], [7, EOS]]), [2, 2])
    assert stepped.attention == {}
    assert np.exp(stepped.scores).sum(axis=1) == pytest.approx(1.0, abs=1e-5)
