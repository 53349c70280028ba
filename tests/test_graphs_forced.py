"""The graph for given targets: against torch, against steps, alone and in company."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from model_export import export
from model_export.attention import masked_softmax
from model_export.model import Seq2Seq
from model_export.simulate import simulate
from service import dequantise
from service.runner import Encoded, Runner, Scored
from tests.architectures import (
    ARCHITECTURES,
    FIRST_WORD,
    PIECES,
    PRECISIONS,
    Exported,
    exported,
    lively,
    network,
    reader,
    shown,
)
from tests.devices import StandIn

AT_ONCE = {
    name: sizes
    for name, sizes in ARCHITECTURES.items()
    if sizes.attention.kind != "additive" and not sizes.decoder.input_feeding
}
LENGTHS = ((1, 1), (3, 2), (5, 7), (9, 16), (17, 21), (31, 3), (40, 33), (22, 50))
"""Source and target tokens of pairs."""

BOS = 2
Ints = list[int]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Given:
    """A pair of words alone; what is read starts with `<s>`."""

    source: Ints
    target: Ints

    @property
    def read(self) -> Ints:
        return [BOS, *self.target[:-1]]


@pytest.fixture(scope="module", params=AT_ONCE)
def one(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(AT_ONCE[request.param], tmp_path_factory.mktemp("graphs"))


def pairs(lengths: Sequence[tuple[int, int]] = LENGTHS) -> list[Given]:
    rng = np.random.default_rng(4)
    words = [[rng.integers(FIRST_WORD, PIECES, n).tolist() for n in both] for both in lengths]
    return [Given(source, target) for source, target in words]


def at_once(runner: Runner, given: Sequence[Given]) -> list[Scored]:
    encoded = runner.encode([pair.source for pair in given])
    return runner.force(encoded, [pair.target for pair in given])


def by_steps(runner: Runner, pair: Given) -> Scored:
    """What the decoder's steps say of a target, one after the other."""
    slots = runner.slots(1)
    (encoded,) = runner.encode([pair.source])
    slots.put(encoded.memory, encoded.state, [0])
    slots.move([], 1)
    scores, rows = [], []
    for token, following in zip(pair.read, pair.target, strict=True):
        stepped = runner.step([token], *slots.gather())
        slots.scatter(stepped.state, None)
        scores.append(stepped.scores[0, following])
        rows.append({kind: row[0].copy() for kind, row in stepped.attention.items()})
    attention = {kind: np.stack([row[kind] for row in rows]) for kind in rows[0]}
    return Scored(np.array(scores, np.float32), attention)


def distance(found: Scored, expected: Scored, pair: Given) -> float:
    """The largest difference of any number about a pair."""
    width = len(pair.source)
    assert found.attention.keys() == expected.attention.keys()
    parts = [found.scores - expected.scores]
    for kind, rows in expected.attention.items():
        parts.append(found.attention[kind][..., :width] - rows[..., :width])
        assert not found.attention[kind][..., width:].any(), "padding has no share"
    assert all(len(part) == len(pair.target) for part in parts)
    return max(float(np.abs(part).max()) for part in parts)


@torch.inference_mode()
def by_torch(model: Seq2Seq, pair: Given) -> Scored:
    source, length = torch.tensor([pair.source]), torch.tensor([len(pair.source)])
    out = model(source, length, torch.tensor([pair.read]))
    logs = torch.log_softmax(model.decoder.logits(out.features[0]), -1)
    scores = logs[torch.arange(len(pair.target)), torch.tensor(pair.target)]
    attention = {}
    if out.cross is not None:
        attention["cross"] = out.cross[0].numpy()
    if out.alignment is not None:
        mask = torch.ones(1, len(pair.source), dtype=torch.bool)
        attention["alignment"] = masked_softmax(out.alignment, mask)[0].numpy()
    return Scored(scores.numpy(), attention)


def meant(scored: Scored) -> Scored:
    """The mean over heads, as torch tells it of a whole target."""
    rows = {k: v.mean(axis=1) if v.ndim == 3 else v for k, v in scored.attention.items()}
    return Scored(scored.scores, rows)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_there_is_one_unless_a_step_reads_what_the_last_has_found(name: str) -> None:
    model = lively(ARCHITECTURES[name])
    roles = [graph.role for graph in export.contracts(model, "int8")]
    assert roles[:3] == ["encoder", "decoder", "candidates"]
    assert roles[3:] == (["forced"] if name in AT_ONCE else [])
    assert model.decoder.at_once == (name in AT_ONCE)


def test_fp32_is_torch(one: Exported) -> None:
    for pair, found in zip(pairs(), at_once(one.runner("fp32"), pairs()), strict=True):
        assert distance(meant(found), by_torch(one.model, pair), pair) < 1e-5


def test_int8_is_its_simulation(one: Exported) -> None:
    """Equal but where a float32 sum lies on the border between two steps of uint8."""
    rounded = simulate(one.model, shown(one.model))
    errors = [
        np.abs(found.scores - by_torch(rounded, pair).scores)
        for pair, found in zip(pairs(), at_once(one.runner("int8"), pairs()), strict=True)
    ]
    assert np.quantile(np.concatenate(errors), 0.75) < 1e-4
    assert np.concatenate(errors).max() < 0.3


@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_says_what_the_steps_say(one: Exported, precision: export.Precision) -> None:
    """In int8 to the last bit, so that nobody can tell which of the two was asked."""
    runner, tolerance = one.runner(precision), 0.0 if precision == "int8" else 2e-5
    for pair, found in zip(pairs(), at_once(runner, pairs()), strict=True):
        assert distance(found, by_steps(runner, pair), pair) <= tolerance


def check_company(runner: Runner, given: Sequence[Given]) -> None:
    """Every pair alone, and in crowds that are padded this way and that."""
    alone = [at_once(runner, [pair])[0] for pair in given]
    rng = np.random.default_rng(6)
    wide, long = pairs([(77, 5), (6, 81)])
    for size in (1, 2, 3, 8):
        for extra in ([wide], [long], [wide, long]):
            picked = rng.integers(0, len(given), size).tolist()
            crowd = [*(given[index] for index in picked), *extra]
            for index, found in zip(picked, at_once(runner, crowd), strict=False):
                assert distance(found, alone[index], given[index]) == 0.0


def test_company_and_padding_do_not_show_in_int8(one: Exported) -> None:
    check_company(one.runner("int8"), pairs())


@pytest.mark.parametrize("decoder", ["gru", "transformer"])
def test_nor_do_they_however_wide_a_head_is(tmp_path: Path, decoder: str) -> None:
    """Products over more than 128 are summed in pieces."""
    small = network("lstm", decoder, "multi-head", heads=1)
    sizes = dataclasses.replace(
        small,
        encoder=dataclasses.replace(small.encoder, size=256),
        decoder=dataclasses.replace(small.decoder, size=256, heads=1),
    )
    check_wide(exported(sizes, tmp_path).runner("int8"))


@pytest.mark.parametrize("attention", ["general", "dot", "concat", "local-p"])
def test_nor_however_wide_memory_is(tmp_path: Path, attention: str) -> None:
    small = network("lstm", "gru", attention, top=12, alignment_head=160)
    sizes = dataclasses.replace(
        small,
        encoder=dataclasses.replace(small.encoder, size=272),
        decoder=dataclasses.replace(small.decoder, size=272),
        attention=dataclasses.replace(small.attention, size=144),
    )
    check_wide(exported(sizes, tmp_path).runner("int8"))


def check_wide(runner: Runner) -> None:
    given = pairs()
    check_company(runner, given)
    for pair, found in zip(given, at_once(runner, given), strict=True):
        assert distance(found, by_steps(runner, pair), pair) == 0.0


@pytest.mark.parametrize("precision", PRECISIONS)
def test_rows_sum_to_one(one: Exported, precision: export.Precision) -> None:
    for found in at_once(one.runner(precision), pairs()):
        assert (found.scores < 0).all()
        for rows in found.attention.values():
            np.testing.assert_allclose(rows.sum(axis=-1), 1, atol=1e-5)


def raw(one: Exported, feeds: Mapping[str, NDArray[np.generic]]) -> dict[str, Floats]:
    """Run the int8 graph itself."""
    described = one.about["int8"].graph("forced")
    content = (one.folders["int8"] / described.file).read_bytes()
    session = StandIn().open(content, described.file)
    return session.run([tensor.name for tensor in described.outputs], feeds)


def feeds(one: Exported, encoded: Encoded, pair: Given, room: int) -> dict[str, Floats]:
    """One pair, with room behind its target."""
    names = {tensor.name for tensor in one.about["int8"].graph("forced").inputs}
    held = {name: value[None] for name, value in {**encoded.memory, **encoded.state}.items()}
    tokens = np.array([[*pair.read, *[7] * room]])
    following = np.array([[*pair.target, *[9] * room]])
    lengths = np.array([len(pair.target)])
    given = {"tokens": tokens, "following": following, "lengths": lengths, **held}
    return {name: value for name, value in given.items() if name in names}


def test_what_follows_padding_is_zero(one: Exported) -> None:
    (pair,) = pairs([(9, 7)])
    (encoded,) = one.runner("int8").encode([pair.source])
    exact = raw(one, feeds(one, encoded, pair, 0))
    for room in (1, 9, 30):
        found = raw(one, feeds(one, encoded, pair, room))
        assert found["log_probabilities"].shape == (1, 7 + room)
        assert not found["log_probabilities"][:, 7:].any()
        for name, values in exact.items():
            assert (found[name][:, :7] == values).all()


def test_a_lone_token_is_read_and_its_end_is_scored(one: Exported) -> None:
    """An empty target is `</s>` alone."""
    (pair,) = pairs([(4, 1)])
    runner = one.runner("int8")
    (found,) = at_once(runner, [pair])
    assert distance(found, by_steps(runner, pair), pair) == 0.0


def test_in_float32_it_stays_near_fp32(one: Exported) -> None:
    """As a device without int8 products runs it: nothing is left of them."""
    path, floats = one.folders["int8"], StandIn(floats=True)
    content = (path / "forced.onnx").read_bytes()
    spelled = onnx.load_model_from_string(dequantise.in_float32(content, "forced.onnx"))
    assert [opset.domain for opset in spelled.opset_import] == [""]
    dequantised = Runner(reader(path), one.about["int8"], floats)
    exact, near = (at_once(runner, pairs()) for runner in (one.runner("fp32"), dequantised))
    for mine, other in zip(exact, near, strict=True):
        assert 0 < np.abs(mine.scores - other.scores).mean() < 0.2
        for kind, rows in mine.attention.items():
            width = rows.shape[-1]
            assert np.abs(rows - other.attention[kind][..., :width]).max() < 0.3
    for pair, found in zip(pairs(), near, strict=True):
        assert distance(found, by_steps(dequantised, pair), pair) < 1e-4
