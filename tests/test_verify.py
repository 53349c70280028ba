"""Agreement of torch and the service: what counts as a difference, and that one is caught."""

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path as File

import numpy as np
import pytest
import torch

from model_export import config, draft, export, verify
from model_export.decode import greedy
from model_export.model import Seq2Seq
from model_export.run import Run
from model_export.subwords import EOS
from model_export.train import load_model
from model_export.verify import Agreement, Reference, compare, distance, missed, reference
from service.hypotheses import Floats, Path
from service.tokenizer import Tokenizer
from tests.architectures import PRECISIONS, lively, name_of, network

SOURCE_LENGTH = 3


def attentions(rows: int) -> dict[str, Floats]:
    rng = np.random.default_rng(0)
    return {
        kind: rng.dirichlet(np.ones(SOURCE_LENGTH), rows).astype(np.float32)
        for kind in ("cross", "alignment")
    }


def expected(tokens: tuple[int, ...] = (7, 8, EOS), margin: float = 1.0) -> Reference:
    scores = np.linspace(-0.1, -0.9, len(tokens), dtype=np.float32)
    margins = np.full(len(tokens), margin, np.float32)
    return Reference(list(tokens), scores, margins, attentions(len(tokens)))


def path(like: Reference, tokens: tuple[int, ...] | None = None) -> Path:
    """What the service would say if it agreed, but for other tokens."""
    chosen = tuple(like.tokens) if tokens is None else tokens
    rows = {kind: matrix.copy() for kind, matrix in like.attention.items()}
    return Path(chosen, like.scores.copy(), rows, EOS in chosen)


def agreement(one: Reference, other: Path, precision: str = "fp32") -> Agreement:
    found = Agreement(precision, 1e-3)
    compare(found, one, other)
    return found


def test_equal_paths_agree() -> None:
    found = agreement(expected(), path(expected()))
    assert found.holds
    assert (found.sentences, found.tokens, found.close_tokens) == (1, 3, 3)
    assert (found.log_probability, found.attention) == (0.0, {"cross": 0.0, "alignment": 0.0})


def test_another_token_is_a_difference() -> None:
    found = agreement(expected(), path(expected(), (7, 9, EOS)))
    assert (found.different_tokens, found.near_ties, found.tokens) == (1, 0, 1)
    assert not found.holds


@pytest.mark.parametrize("tokens", [(7,), (7, 8, 9, EOS)])
def test_a_longer_or_shorter_target_is_a_difference(tokens: tuple[int, ...]) -> None:
    one = expected()
    other = dataclasses.replace(path(expected((7, 8, 9, EOS))), tokens=tokens)
    found = agreement(one, dataclasses.replace(other, scores=other.scores[: len(tokens)]))
    assert found.different_tokens == 1
    assert not found.holds


def test_a_tie_may_fall_either_way() -> None:
    one = expected(margin=5e-4)
    other = path(one, (7, 9, EOS))
    other.attention["cross"][1:] = 0.0  # after the tie nothing is compared
    other.scores[1:] = -9.0
    found = agreement(one, other)
    assert (found.different_tokens, found.near_ties, found.tokens) == (0, 1, 1)
    assert json.loads(json.dumps(verify.facts(found)))["near_ties"] == 1
    assert found.holds


def test_differences_are_the_largest_ones_seen() -> None:
    found, one = Agreement("fp32", 1e-3), expected()
    for change in (0.25, 0.5, 0.125):
        other = path(one)
        other.scores[1] += change
        other.attention["cross"][0, 2] += change / 2
        other.attention["alignment"][2, 0] += change / 4
        compare(found, one, other)
    assert found.sentences == 3
    assert (found.tokens, found.close_tokens) == (9, 6)
    assert found.log_probability == pytest.approx(0.5, abs=1e-6)
    assert found.attention["cross"] == pytest.approx(0.25, abs=1e-6)
    assert found.attention["alignment"] == pytest.approx(0.125, abs=1e-6)
    assert not found.holds


@pytest.mark.parametrize("kind", ["scores", "cross", "alignment"])
def test_every_figure_counts(kind: str) -> None:
    other = path(expected())
    (other.scores if kind == "scores" else other.attention[kind][2])[...] += 0.01
    assert not agreement(expected(), other).holds


def test_a_long_sentence_does_not_outvote_the_others() -> None:
    found = Agreement("int8", 0.3)
    for length, change in ((3, 0.0), (3, 0.0), (3, 0.0), (90, 0.01), (3, 0.0), (3, 0.0)):
        one = expected((*[7] * (length - 1), EOS))
        other = path(one)
        other.scores[:] += change
        compare(found, one, other)
    assert (found.tokens, found.close_tokens) == (105, 15)
    assert found.close_share == pytest.approx(5 / 6)
    assert found.holds


def test_what_holds() -> None:
    sound = Agreement("int8", 0.3, close_share=0.9, attention={"cross": 0.1})
    assert sound.holds
    assert not dataclasses.replace(sound, crowd=1e-9).holds, "int8 is exact in any company"
    assert not dataclasses.replace(sound, steps=1e-9).holds, "and read at once"
    assert not dataclasses.replace(sound, forced=0.31).holds
    assert not dataclasses.replace(sound, close_share=0.1).holds
    assert not dataclasses.replace(sound, attention={"cross": 0.1, "alignment": 0.31}).holds
    assert not dataclasses.replace(sound, different_tokens=1).holds
    assert not Agreement("int8", 0.3).holds, "nothing was compared"
    exact = dataclasses.replace(sound, precision="fp32", tolerance=1e-3, close_share=1.0)
    exact = dataclasses.replace(exact, attention={"cross": 1e-5}, crowd=1e-6)
    assert exact.holds
    assert not dataclasses.replace(exact, crowd=1e-2).holds
    assert verify.facts(sound) == {**dataclasses.asdict(sound), "holds": True}


def test_distance_is_the_largest_difference() -> None:
    one = path(expected())
    assert distance(one, path(expected())) == 0.0
    other = path(expected())
    other.scores[0] += 0.25
    other.attention["alignment"][1, 1] += 0.5
    assert distance(one, other) == pytest.approx(0.5, abs=1e-6)


def test_other_tokens_are_infinitely_far() -> None:
    assert distance(path(expected()), path(expected(), (7, 9, EOS))) == float("inf")
    assert distance(path(expected()), path(expected((7, EOS)))) == float("inf")


@pytest.fixture
def run(toy_run: Run, tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A copy of the toy run, compared on few sentences."""
    monkeypatch.setattr(verify, "SENTENCES", 4)
    made = Run(toy_run.recipe, toy_run.data, tmp_path / "toy")
    for name in ("int8", "fp32"):
        shutil.copytree(toy_run.path(name), made.path(name))
    for name in ("source.model", "target.model", "best.pt"):
        shutil.copyfile(toy_run.path(name), made.path(name))
    return made


def nudged(run: Run, change: Callable[[Seq2Seq], torch.Tensor]) -> Seq2Seq:
    """The trained model with one weight that is a little wrong."""
    model = load_model(run)
    with torch.no_grad():
        weight = change(model)
        weight += 0.1 * weight.std() * torch.randn(weight.shape)
    return model


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_exported_graphs_agree(run: Run, precision: str) -> None:
    found = verify.verify(run, load_model(run), precision)
    assert found.holds, found
    assert found.sentences >= 6
    assert set(found.attention) == {"cross", "alignment"}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_wrong_weights_are_caught(run: Run, precision: str) -> None:
    torch.manual_seed(0)
    wrong = nudged(run, lambda model: model.get_parameter("decoder.combine.weight"))
    found = verify.verify(run, wrong, precision)
    assert not found.holds, found
    assert found.log_probability > 100 * verify.CLOSE


def test_a_wrong_alignment_head_is_caught_though_tokens_agree(run: Run) -> None:
    torch.manual_seed(0)
    wrong = nudged(run, lambda model: model.get_parameter("head.query_state.weight"))
    found = verify.verify(run, wrong, "fp32")
    assert found.different_tokens == 0
    assert found.log_probability < 1e-3
    assert found.attention["alignment"] > 1e-3
    assert not found.holds


def test_a_wrong_graph_is_caught(run: Run) -> None:
    torch.manual_seed(0)
    wrong = nudged(run, lambda model: model.get_parameter("bridge.weight"))
    export.export(wrong, draft.folder(run, "fp32"), "fp32", {})
    assert not verify.verify(run, load_model(run), "fp32").holds


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_wrong_graph_for_given_targets_is_caught(run: Run, precision: export.Precision) -> None:
    torch.manual_seed(0)
    right = draft.folder(run, precision) / "decoder.onnx"
    kept = right.read_bytes()
    wrong = nudged(run, lambda model: model.get_parameter("decoder.combine.weight"))
    export.export(wrong, right.parent, precision, {})
    right.write_bytes(kept)
    found = verify.verify(run, load_model(run), precision)
    assert found.at_once == found.sentences
    assert found.log_probability < found.tolerance, "steps are right"
    assert found.steps > 100 * verify.CLOSE
    assert not found.holds


def test_what_is_read_at_once_is_told_of(run: Run) -> None:
    found = verify.verify(run, load_model(run), "int8")
    assert found.at_once == found.sentences > 0
    assert found.steps == 0.0
    assert found.forced <= found.tolerance
    about = draft.open_draft(run, "int8").manifest.model
    described = [graph for graph in about.graphs if graph.role != "forced"]
    place = draft.folder(run, "int8") / draft.GRAPHS
    facts = json.loads(place.read_text(encoding="utf-8"))
    facts["graphs"] = facts["graphs"][: len(described)]
    place.write_text(json.dumps(facts), encoding="utf-8")
    without = verify.verify(run, load_model(run), "int8")
    assert (without.at_once, without.forced, without.steps) == (0, 0.0, 0.0)
    assert without.holds


def test_a_target_that_torch_has_cut_is_compared_up_to_there() -> None:
    one = expected((7, 8, 9))
    rows = {kind: np.concatenate([m, m[:1]]) for kind, m in one.attention.items()}
    other = Path((7, 8, 9, EOS), np.append(one.scores, np.float32(-3)), rows, True)
    other.attention["alignment"][2] += 0.5  # torch does not know what the last token is about
    assert missed(one, other) == 0.0
    other.attention["cross"][2] += 0.25
    assert missed(one, other) == pytest.approx(0.25, abs=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@pytest.mark.parametrize(
    "sizes",
    [
        network("transformer", "transformer", "multi-head"),
        network("gru", "lstm", "multi-head", heads=1, input_feeding=True),
        network("lstm", "gru", "none", alignment_head=0),
    ],
    ids=name_of,
)
def test_whatever_the_network_its_graphs_agree(
    run: Run, sizes: config.Model, precision: export.Precision
) -> None:
    made = Run(dataclasses.replace(run.recipe, model=sizes), run.data, run.folder)
    source, target = made.tokenizers()
    model = lively(sizes, pieces=(source.size, target.size))
    draft.write(made, model, [precision])
    found = verify.verify(made, model, precision)
    assert found.holds, found
    assert set(found.attention) == {kind for kind in ("cross", "alignment") if has(sizes, kind)}
    with torch.no_grad():
        model.decoder.bias.add_(0.3 * torch.randn(target.size))
    assert not verify.verify(made, model, precision).holds


def has(sizes: config.Model, attention: str) -> bool:
    if attention == "cross":
        return sizes.attention.kind != "none"
    return sizes.alignment_head > 0


@pytest.mark.parametrize("heads", [1, 2])
def test_a_reference_has_heads_where_the_service_has(heads: int) -> None:
    for attention, shape in (("multi-head", (4, heads, 3)), ("general", (4, 3))):
        model = lively(network("lstm", "gru", attention, heads=heads))
        model.decoder.bias.data[EOS] = -99.0
        assert reference(model, (7, 8), 4).attention["cross"].shape == shape


def test_the_reference_is_greedy_decoding(run: Run) -> None:
    model = load_model(run)
    source = verify.verification_sources(run)[0]
    made = reference(model, source, 40)
    assert made.tokens == [*greedy(model, [source], 40)[0], EOS]
    shape = (len(made.tokens), len(source) + 1)
    for kind in ("cross", "alignment"):
        assert made.attention[kind].shape == shape
        assert made.attention[kind].sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    assert made.attention["alignment"][-1].tolist() == [0.0] * len(source) + [1.0]
    assert made.scores.max() <= 0
    assert made.margins.min() >= 0
    assert len(reference(model, source, 2).tokens) == 2


def test_sentences_of_all_lengths_and_bytes_are_compared(run: Run) -> None:
    sources = verify.verification_sources(run)
    tokenizer: Tokenizer = run.tokenizers()[0]
    texts = [tokenizer.decode(ids).text for ids in sources]
    by_length = sorted((pair.source for pair in run.dev_pairs()), key=len)
    assert {by_length[0], by_length[-1], "▁ 你好 😀"} <= set(texts)
    assert len({len(text) for text in texts}) >= 4
