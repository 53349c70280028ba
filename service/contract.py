"""What a manifest says of its graphs, held against the graphs themselves.

A tensor that is read or fed must be in both, with the same type and as many axes. Axes of one
name have one size wherever a graph fixes it; those of `OPEN` are never fixed.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import chain

from service.device import Port, Session
from service.errors import DamagedBundle
from service.manifest import Graph, Model, Tensor

OPEN = frozenset({"batch", "source", "target", "past"})
MOST_SIZE = 1 << 20
"""Largest axis that a graph may fix."""

MOST_ITEMS = 1 << 24
"""Most numbers that fixed axes of one tensor may ask for together."""


class Contract:
    """The manifest's side of all graphs of a bundle; `sizes` is what they fixed, by axis."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.sizes: dict[str, int] = {}

    def check(
        self, role: str, session: Session, takes: Sequence[str], gives: Sequence[str]
    ) -> None:
        """Raise `DamagedBundle` unless a graph takes just this, and gives at least that."""
        graph = self._model.graph(role)
        inputs = {port.name: port for port in session.inputs()}
        outputs = {port.name: port for port in session.outputs()}
        for name in chain(_lacking(takes, inputs), _lacking(gives, outputs)):
            raise DamagedBundle(f"{graph.file}: the graph has no tensor {name!r}")
        for name in _lacking(inputs, takes):
            raise DamagedBundle(f"{graph.file}: nothing is known of the input {name!r}")
        for name in takes:
            self._check_tensor(graph, _described(graph, name, graph.inputs), inputs[name], session)
        for name in gives:
            self._check_tensor(
                graph, _described(graph, name, graph.outputs), outputs[name], session
            )

    def width(self, role: str, output: str) -> int:
        """Return the last axis of an output that was checked, 0 if no graph fixes it."""
        graph = self._model.graph(role)
        return self.sizes.get(_described(graph, output, graph.outputs).axes[-1], 0)

    def check_state(self) -> None:
        """Raise `DamagedBundle` unless state is described as the graphs are that carry it."""
        decoder = self._model.graph("decoder")
        for state in self._model.state:
            if _described(decoder, state.input, decoder.inputs).axes != state.axes:
                raise DamagedBundle(f"{decoder.file}: the state {state.input!r} has other axes")

    def _check_tensor(self, graph: Graph, tensor: Tensor, port: Port, session: Session) -> None:
        where = f"{graph.file}: {tensor.name}"
        if port.type not in session.types(tensor.type):
            raise DamagedBundle(f"{where} is a {port.type}, not a tensor({tensor.type})")
        if len(port.shape) != len(tensor.axes):
            raise DamagedBundle(f"{where} has {len(port.shape)} axes, not {len(tensor.axes)}")
        fixed = {a: s for a, s in zip(tensor.axes, port.shape, strict=True) if isinstance(s, int)}
        for axis, size in fixed.items():
            if axis in OPEN or not 1 <= size <= MOST_SIZE:
                raise DamagedBundle(f"{where}: the axis {axis} may not be of size {size}")
            if self.sizes.setdefault(axis, size) != size:
                raise DamagedBundle(f"{where}: {axis} is {size} here, {self.sizes[axis]} elsewhere")
        if math.prod(fixed.values()) > MOST_ITEMS:
            raise DamagedBundle(f"{where} is too large")


def _lacking(wanted: Iterable[str], there: Iterable[str]) -> Iterable[str]:
    known = set(there)
    return (name for name in wanted if name not in known)


def _described(graph: Graph, name: str, tensors: Iterable[Tensor]) -> Tensor:
    for tensor in tensors:
        if tensor.name == name:
            return tensor
    raise DamagedBundle(f"{graph.file}: the manifest does not describe {name!r}")
