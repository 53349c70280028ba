"""The graph that reads given targets at once, if a bundle has it, as the manifest describes it.

Unlike the others a bundle may lack it. One that is about other tensors than the decoder is
refused before it is loaded, for what it says is taken for what the decoder would have said.
"""

from service.errors import DamagedBundle
from service.manifest import Graph, Model

ROLE = "forced"
GRID = ("batch", "target")
GIVEN = {"tokens": GRID, "following": GRID, "lengths": ("batch",)}
SCORES = "log_probabilities"

Axes = dict[str, tuple[str, ...]]


def forced_graph(model: Model) -> Graph | None:
    """Return the graph, if there is one; raises `DamagedBundle` if it is about something else."""
    for graph in model.graphs:
        if graph.role == ROLE:
            if fault := _fault(model, graph):
                raise DamagedBundle(f"{graph.file} {fault}")
            return graph
    return None


def _fault(model: Model, graph: Graph) -> str:
    """Say what is wrong with a description; empty: nothing."""
    taken: Axes = {tensor.name: tensor.axes for tensor in graph.inputs}
    given: Axes = {tensor.name: tensor.axes for tensor in graph.outputs}
    for name, axes in GIVEN.items():
        if taken.get(name) != axes:
            return f"does not read {name!r} with the axes {axes}"
    decoder = model.graph("decoder")
    steps: Axes = {tensor.name: tensor.axes for tensor in (*decoder.inputs, *decoder.outputs)}
    known = {*model.memory, *(state.input for state in model.state)} - model.growing
    for name in sorted(taken.keys() - GIVEN.keys()):
        if name not in known:
            return f"reads {name!r}, which nobody gives"
        if taken[name] != steps.get(name):
            return f"does not read {name!r} as the decoder does"
    wanted: Axes = {SCORES: GRID}
    for one in model.attention:
        wanted[one.output] = (*GRID, *steps.get(one.output, ())[1:])
    for name, axes in wanted.items():
        if given.get(name) != axes:
            return f"does not give {name!r} with the axes {axes}"
    return ""
