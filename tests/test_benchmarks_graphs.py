from pathlib import Path

import onnx

from benchmarks import graphs, scales
from benchmarks.ours import shipped
from benchmarks.sessions import Session
from service.shelf import EMBEDDED

DECODER = EMBEDDED / "en-fr" / "decoder.onnx"


def test_products_are_those_that_a_step_computes() -> None:
    found = {product.name: product for product in graphs.products(DECODER)}
    assert {"new_lower_recurrent", "query", "combined", "logits", "state_query"} <= found.keys()
    assert not [name for name in found if name.endswith("_table")], "made once, at load"
    alone = onnx.load_from_string(found["logits"].model)
    assert [value.name for value in alone.graph.input] == list(found["logits"].activations)
    assert [value.name for value in alone.graph.output] == ["logits"]


def test_a_graph_without_its_attention_lacks_all_that_only_attention_needs(tmp_path: Path) -> None:
    graphs.without(DECODER, ["cross", "alignment"], tmp_path / "decoder.onnx")
    cut = onnx.load(str(tmp_path / "decoder.onnx"))
    names = {output for node in cut.graph.node for output in node.output}
    assert "context" in names
    assert not names & {"cross", "alignment", "head_scores", "state_query"}
    assert "keys" not in graphs.inputs(tmp_path / "decoder.onnx")
    assert graphs.pieces(tmp_path / "decoder.onnx") == graphs.pieces(DECODER)


def test_inner_tensors_become_outputs() -> None:
    revealed = onnx.load_from_string(graphs.revealing(DECODER, ["combined", "combined", "token"]))
    names = [value.name for value in revealed.graph.output]
    assert names.count("combined") == 1
    assert "token" not in names, "an input is known already"


def test_dynamic_scales_make_a_sentence_depend_on_strangers_and_fixed_ones_do_not() -> None:
    bundle = shipped()
    crowd = scales.first_step(bundle, 8)
    moved = {
        name: scales.moved_by_strangers(Session(graph, 1), crowd)
        for name, graph in scales.forms(bundle).items()
    }
    assert moved[scales.FIXED] == 0.0
    assert 0.001 < moved[scales.DYNAMIC] < 1.0
