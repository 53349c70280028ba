"""The masked softmax, the cross-attention and the alignment head."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_export.attention import AlignmentHead, GeneralAttention, masked_softmax

LENGTHS = torch.tensor([5, 2, 1])
MASK = torch.arange(5) < LENGTHS.unsqueeze(1)  # (3, 5)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def is_a_distribution(rows: Tensor) -> None:
    """Check that (3, T, 5) sums to one over real tokens and is exactly zero elsewhere."""
    assert rows.sum(-1).allclose(torch.ones(rows.shape[:2]), atol=1e-6)
    assert not rows.masked_select(~MASK.unsqueeze(1)).any()
    assert (rows.masked_select(MASK.unsqueeze(1)) > 0).all()


def test_a_masked_softmax_is_the_softmax_of_what_is_kept() -> None:
    scores = torch.randn(3, 4, 5)
    rows = masked_softmax(scores, MASK)
    is_a_distribution(rows)
    for sentence, length in enumerate(LENGTHS.tolist()):
        alone = scores[sentence, :, :length].softmax(-1)
        assert rows[sentence, :, :length].allclose(alone, atol=1e-7)


@settings(deadline=None)
@given(st.floats(-1e4, 1e4, width=32), st.floats(-1e4, 1e4, width=32))
def test_padding_weighs_nothing_whatever_its_score(real: float, padding: float) -> None:
    scores = torch.tensor([[[real, real, padding]]])
    rows = masked_softmax(scores, torch.tensor([[True, True, False]]))
    assert rows.tolist() == [[[0.5, 0.5, 0.0]]]


def test_a_sentence_without_tokens_has_no_weights() -> None:
    rows = masked_softmax(torch.randn(1, 2, 3), torch.tensor([[False, False, False]]))
    assert rows.tolist() == [[[0.0] * 3] * 2]


def test_a_context_is_the_mean_of_memory_under_the_rows() -> None:
    attention = GeneralAttention(decoder=6, memory=4)
    states, memory = torch.randn(3, 2, 6), torch.randn(3, 5, 4)
    context, rows = attention(states, memory, MASK)
    is_a_distribution(rows)
    for b in range(3):
        for t in range(2):
            mean = sum(rows[b, t, s] * memory[b, s] for s in range(5))
            assert context[b, t].allclose(torch.as_tensor(mean), atol=1e-6)


def test_the_general_score_is_bilinear() -> None:
    attention = GeneralAttention(decoder=6, memory=4)
    states, memory = torch.randn(3, 2, 6), torch.randn(3, 5, 4)
    scores = torch.einsum("btd,md,bsm->bts", states, attention.query.weight, memory)
    assert attention(states, memory, MASK)[1].allclose(masked_softmax(scores, MASK), atol=1e-6)


def test_padded_memory_and_batch_mates_do_not_show() -> None:
    attention = GeneralAttention(decoder=6, memory=4)
    states, memory = torch.randn(3, 2, 6), torch.randn(3, 5, 4)
    context, rows = attention(states, memory, MASK)
    other = torch.where(MASK.unsqueeze(2), memory, 1e3 * torch.randn(3, 5, 4))
    other[0] = torch.randn(5, 4)
    changed_context, changed_rows = attention(states, other, MASK)
    assert changed_rows[1:].allclose(rows[1:], atol=1e-6)
    assert changed_context[1:].allclose(context[1:], atol=1e-5)
    assert not changed_rows[0].allclose(rows[0], atol=1e-3)


def head() -> AlignmentHead:
    return AlignmentHead(decoder=6, memory=4, source=3, target=2, size=8)


def test_the_head_scores_are_a_scaled_product_of_query_and_key() -> None:
    model = head()
    states, embedded = torch.randn(3, 2, 6), torch.randn(3, 2, 2)
    keys = model.keys(torch.randn(3, 5, 4), torch.randn(3, 5, 3))
    assert keys.shape == (3, 5, 8)
    scores = model.scores(states, embedded, keys)
    assert scores.shape == (3, 2, 5)
    query = model.query_state(states[1, 0]) + model.query_token(embedded[1, 0])
    assert scores[1, 0, 3].item() == pytest.approx((query @ keys[1, 3]).item() / 8**0.5, abs=1e-5)
    is_a_distribution(masked_softmax(scores, MASK))


def test_the_head_sees_states_memory_and_both_tokens() -> None:
    model = head()
    memory, source = torch.randn(1, 5, 4), torch.randn(1, 5, 3)
    states, target = torch.randn(1, 2, 6), torch.randn(1, 2, 2)
    scores = model.scores(states, target, model.keys(memory, source))
    for other in (
        model.scores(2 * states, target, model.keys(memory, source)),
        model.scores(states, 2 * target, model.keys(memory, source)),
        model.scores(states, target, model.keys(2 * memory, source)),
        model.scores(states, target, model.keys(memory, 2 * source)),
    ):
        assert not other.allclose(scores, atol=1e-4)
