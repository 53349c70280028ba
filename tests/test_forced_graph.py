"""The graph for given targets: it may be missing, but not be about something else."""

from dataclasses import replace

import pytest

from service.bundle import Bundle
from service.errors import DamagedBundle
from service.forced_graph import ROLE, forced_graph
from service.manifest import Graph, Model, Tensor
from service.runner import Runner


@pytest.fixture
def model(toy_bundle: Bundle) -> Model:
    return toy_bundle.manifest.model


def changed(
    model: Model, side: str, name: str, to: str | None = None, axes: tuple[str, ...] | None = None
) -> Model:
    """The model with another name or other axes of a tensor; without either it is dropped."""

    def tensors(before: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        kept = [one for one in before if one.name != name or to or axes]
        return tuple(
            replace(one, name=to or name, axes=axes or one.axes) if one.name == name else one
            for one in kept
        )

    def graph(one: Graph) -> Graph:
        if one.role != ROLE:
            return one
        if side == "inputs":
            return replace(one, inputs=tensors(one.inputs))
        return replace(one, outputs=tensors(one.outputs))

    return replace(model, graphs=tuple(map(graph, model.graphs)))


def test_it_is_found(model: Model) -> None:
    found = forced_graph(model)
    assert found is not None
    assert (found.role, found.file) == ("forced", "forced.onnx")


def test_a_bundle_may_lack_it(toy_bundle: Bundle, model: Model) -> None:
    graphs = tuple(graph for graph in model.graphs if graph.role != ROLE)
    without = replace(model, graphs=graphs)
    assert forced_graph(without) is None
    assert not Runner(toy_bundle.read, without).forces
    assert Runner(toy_bundle.read, model).forces


@pytest.mark.parametrize(
    ("side", "name", "to", "axes", "says"),
    [
        ("inputs", "tokens", None, None, "does not read 'tokens' with"),
        ("inputs", "following", None, ("batch",), "does not read 'following' with"),
        ("inputs", "lengths", None, None, "does not read 'lengths' with"),
        ("inputs", "memory", "ghost", None, "reads 'ghost', which nobody gives"),
        ("inputs", "state", None, ("batch", "other"), "does not read 'state' as the decoder does"),
        ("outputs", "log_probabilities", None, None, "does not give 'log_probabilities' with"),
        ("outputs", "cross", None, ("batch", "source"), "does not give 'cross' with"),
        ("outputs", "alignment", "other", None, "does not give 'alignment' with"),
    ],
)
def test_one_about_something_else_is_refused(
    toy_bundle: Bundle,
    model: Model,
    side: str,
    name: str,
    to: str | None,
    axes: tuple[str, ...] | None,
    says: str,
) -> None:
    wrong = changed(model, side, name, to, axes)
    with pytest.raises(DamagedBundle, match=rf"forced\.onnx {says}"):
        forced_graph(wrong)
    with pytest.raises(DamagedBundle):
        Runner(toy_bundle.read, wrong)
