import json

import numpy as np

from benchmarks import answers


def test_a_matrix_is_written_as_an_answer_has_it() -> None:
    weights = answers.attention(12)
    assert weights.shape == (13, 13)
    assert np.allclose(weights.sum(axis=1), 1.0)
    decimals = json.loads(answers.written(weights, "decimals"))
    assert np.abs(np.array(decimals) - weights).max() <= 0.5001e-4
    integers = json.loads(answers.written(weights, "integers"))
    assert np.abs(np.array(integers["weights"]) / integers["scale"] - weights).max() <= 0.5001e-4


def test_the_model_costs_a_sentence_its_share_of_every_worker() -> None:
    samples = {answers.MODEL: [0.064, 0.128, 0.064], "decimals": [1e-5, 2e-5, 3e-5]}
    assert answers.costs(samples, workers=2) == {answers.MODEL: 2000.0, "decimals": 20.0}
