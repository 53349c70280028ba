"""The masked softmax, every cross-attention against its formula, and the alignment head."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from model_export import config
from model_export.attention import (
    Additive,
    AlignmentHead,
    CrossAttention,
    Dot,
    General,
    Local,
    MultiHead,
    build,
    join_heads,
    masked_softmax,
    split_heads,
)

STATE, MEMORY, HIDDEN, WINDOW, HEADS = 6, 4, 5, 3, 2
LENGTHS = torch.tensor([5, 2, 1])
MASK = torch.arange(5) < LENGTHS.unsqueeze(1)  # (3, 5)
KINDS = sorted(config.ATTENTIONS - {"none"})


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def attention_of(kind: str) -> CrossAttention:
    """One of a kind; dot's state is as wide as its memory."""
    about = config.Attention(kind, size=HIDDEN, window=WINDOW, heads=HEADS)
    made = build(about, MEMORY if kind == "dot" else STATE, MEMORY)
    assert made is not None
    return made


def asked(attention: CrossAttention) -> tuple[Tensor, Tensor]:
    """Random states (3, 2, D) that fit, and memory (3, 5, M)."""
    state = MEMORY if isinstance(attention, Dot) else STATE
    return torch.randn(3, 2, state), torch.randn(3, 5, MEMORY)


def is_a_distribution(rows: Tensor) -> None:
    """Check that (3, ..., 5) sums to one over real tokens and is exactly zero elsewhere."""
    assert rows.sum(-1).allclose(torch.ones(rows.shape[:-1]), atol=1e-6)
    real = MASK.view(3, *[1] * (rows.dim() - 2), 5).expand_as(rows)
    assert not rows[~real].any()
    assert (rows[real] > 0).all()


def test_a_masked_softmax_is_the_softmax_of_what_is_kept() -> None:
    for shape in ((3, 4, 5), (3, 2, 4, 5)):
        scores = torch.randn(shape)
        rows = masked_softmax(scores, MASK)
        is_a_distribution(rows)
        for sentence, length in enumerate(LENGTHS.tolist()):
            alone = scores[sentence, ..., :length].softmax(-1)
            assert rows[sentence, ..., :length].allclose(alone, atol=1e-7)


@given(st.floats(-1e4, 1e4, width=32), st.floats(-1e4, 1e4, width=32))
def test_padding_weighs_nothing_whatever_its_score(real: float, padding: float) -> None:
    scores = torch.tensor([[[real, real, padding]]])
    rows = masked_softmax(scores, torch.tensor([[True, True, False]]))
    assert rows.tolist() == [[[0.5, 0.5, 0.0]]]


def test_a_sentence_without_tokens_has_no_weights() -> None:
    rows = masked_softmax(torch.randn(1, 2, 3), torch.tensor([[False, False, False]]))
    assert rows.tolist() == [[[0.0] * 3] * 2]


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_is_a_distribution_over_real_tokens(kind: str) -> None:
    attention = attention_of(kind)
    states, memory = asked(attention)
    _, rows = attention(states, attention.prepare(memory, MASK))
    assert rows.shape == (3, 2, attention.heads, 5)
    assert attention.heads == (HEADS if kind == "multi-head" else 1)
    is_a_distribution(rows)


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"multi-head"}))
def test_a_context_is_the_mean_of_memory_under_the_rows(kind: str) -> None:
    attention = attention_of(kind)
    states, memory = asked(attention)
    context, rows = attention(states, attention.prepare(memory, MASK))
    for b in range(3):
        for t in range(2):
            mean = sum(rows[b, t, 0, s] * memory[b, s] for s in range(5))
            assert context[b, t].allclose(torch.as_tensor(mean), atol=1e-6)


def test_every_score_is_its_formula() -> None:
    """Luong et al. 2015, eq. 8, and Bahdanau et al. 2015, appendix A.1.2."""
    states, memory = torch.randn(3, 2, STATE), torch.randn(3, 5, MEMORY)
    s, m = states[1, 0], memory[1, 3]

    def score(attention: CrossAttention, states: Tensor) -> float:
        scores = attention.scores(states, attention.prepare(memory, MASK))
        assert scores.shape == (3, 2, 5)
        return scores[1, 0, 3].item()

    narrow = torch.randn(3, 2, MEMORY)
    assert score(Dot(), narrow) == pytest.approx((narrow[1, 0] @ m).item(), abs=1e-5)
    general = General(STATE, MEMORY)
    expected = s @ general.query.weight.T @ m
    assert score(general, states) == pytest.approx(expected.item(), abs=1e-5)
    additive = Additive(STATE, MEMORY, HIDDEN)
    hidden = torch.tanh(additive.query.weight @ s + additive.query.bias + additive.key.weight @ m)
    expected = additive.score.weight[0] @ hidden
    assert score(additive, states) == pytest.approx(expected.item(), abs=1e-5)


def test_rows_are_the_softmax_of_the_scores() -> None:
    for kind in sorted({*KINDS} - {"multi-head"}):
        attention = attention_of(kind)
        states, memory = asked(attention)
        prepared = attention.prepare(memory, MASK)
        expected = masked_softmax(attention.scores(states, prepared), MASK)
        assert attention(states, prepared)[1][:, :, 0].equal(expected)


def test_local_weighs_the_general_score_around_a_predicted_place() -> None:
    """Luong et al. 2015, eqs. 9 and 10; then normalised, so that rows still sum to one."""
    local = Local(STATE, MEMORY, WINDOW)
    states, memory = torch.randn(3, 2, STATE), torch.randn(3, 5, MEMORY)
    _, rows = local(states, local.prepare(memory, MASK))
    for b, length in enumerate(LENGTHS.tolist()):
        for t in range(2):
            state = states[b, t]
            hidden = torch.tanh(local.hidden.weight @ state)
            place = length * torch.sigmoid(local.place.weight[0] @ hidden).item()
            assert 0 < place < length
            weights = [
                math.exp((state @ local.query.weight.T @ memory[b, s]).item())
                * math.exp(-((s - place) ** 2) / (2 * (WINDOW / 2) ** 2))
                for s in range(length)
            ]
            for s, weight in enumerate(weights):
                expected = pytest.approx(weight / sum(weights), abs=1e-6)
                assert rows[b, t, 0, s].item() == expected


def test_local_looks_where_its_window_is() -> None:
    local = Local(STATE, MEMORY, window=1)
    with torch.no_grad():
        local.query.weight.zero_()
        local.place.weight.zero_()  # the middle of every sentence
    memory, mask = torch.randn(1, 9, MEMORY), torch.ones(1, 9, dtype=torch.bool)
    rows = local(torch.randn(1, 1, STATE), local.prepare(memory, mask))[1][0, 0, 0]
    assert rows.argmax().item() in (4, 5), "4.5 is the middle of nine"
    assert rows[4].item() == pytest.approx(rows[5].item(), abs=1e-6)
    assert rows[:3].sum() + rows[7:].sum() < 1e-3


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_multi_head_is_what_torch_has(heads: int) -> None:
    """Vaswani et al. 2017, sec. 3.2.2."""
    ours = MultiHead(MEMORY, MEMORY, MEMORY, heads)
    theirs = nn.MultiheadAttention(MEMORY, heads, batch_first=True)
    with torch.no_grad():
        parts = (ours.query, ours.key, ours.value)
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    states, memory = torch.randn(3, 2, MEMORY), torch.randn(3, 5, MEMORY)
    context, rows = ours(states, ours.prepare(memory, MASK))
    expected, weights = theirs(
        states, memory, memory, key_padding_mask=~MASK, average_attn_weights=False
    )
    assert context.allclose(expected, atol=1e-6)
    assert rows.allclose(weights.transpose(1, 2), atol=1e-6)


def test_heads_are_slices_side_by_side() -> None:
    values = torch.randn(2, 3, 8)
    heads = split_heads(values, 4)
    assert heads.shape == (2, 4, 3, 2)
    for head in range(4):
        assert heads[:, head].equal(values[:, :, 2 * head : 2 * head + 2])
    assert join_heads(heads).equal(values)


@pytest.mark.parametrize("kind", KINDS)
def test_padded_memory_and_batch_mates_do_not_show(kind: str) -> None:
    attention = attention_of(kind)
    states, memory = asked(attention)
    context, rows = attention(states, attention.prepare(memory, MASK))
    other = torch.where(MASK.unsqueeze(2), memory, 1e3 * torch.randn(3, 5, MEMORY))
    other[0] = torch.randn(5, MEMORY)
    changed_context, changed_rows = attention(states, attention.prepare(other, MASK))
    assert changed_rows[1:].allclose(rows[1:], atol=1e-6)
    assert changed_context[1:].allclose(context[1:], atol=1e-5)
    assert not changed_rows[0].allclose(rows[0], atol=1e-3)


def test_every_kind_is_built() -> None:
    built = {kind: type(attention_of(kind)) for kind in KINDS}
    assert built == {
        "additive": Additive,
        "concat": Additive,
        "dot": Dot,
        "general": General,
        "local-p": Local,
        "multi-head": MultiHead,
    }
    assert build(config.Attention("none"), STATE, MEMORY) is None


def head() -> AlignmentHead:
    return AlignmentHead(state=STATE, memory=MEMORY, source=3, target=2, size=8)


def test_the_head_scores_are_a_scaled_product_of_query_and_key() -> None:
    model = head()
    states, embedded = torch.randn(3, 2, STATE), torch.randn(3, 2, 2)
    keys = model.keys(torch.randn(3, 5, MEMORY), torch.randn(3, 5, 3))
    assert keys.shape == (3, 5, 8)
    scores = model.scores(states, embedded, keys)
    assert scores.shape == (3, 2, 5)
    query = model.query_state(states[1, 0]) + model.query_token(embedded[1, 0])
    assert scores[1, 0, 3].item() == pytest.approx((query @ keys[1, 3]).item() / 8**0.5, abs=1e-5)
    is_a_distribution(masked_softmax(scores, MASK))


def test_the_head_sees_states_memory_and_both_tokens() -> None:
    model = head()
    memory, source = torch.randn(1, 5, MEMORY), torch.randn(1, 5, 3)
    states, target = torch.randn(1, 2, STATE), torch.randn(1, 2, 2)
    scores = model.scores(states, target, model.keys(memory, source))
    for other in (
        model.scores(2 * states, target, model.keys(memory, source)),
        model.scores(states, 2 * target, model.keys(memory, source)),
        model.scores(states, target, model.keys(2 * memory, source)),
        model.scores(states, target, model.keys(memory, 2 * source)),
    ):
        assert not other.allclose(scores, atol=1e-4)
