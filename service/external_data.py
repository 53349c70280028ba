"""Finds what an ONNX graph would read from other files, so that it can be refused.

A tensor may say that its values lie in a file of some path ("external data"), or even at an
address in memory, and ONNX Runtime goes there: for a graph that is loaded from bytes, from the
working directory on. Here a graph is one file, and the check is made on its bytes, without the
package `onnx` and before the runtime sees them.

The bytes are walked as protobuf has them: a field is a tag (number and wire type) and a value.
Only messages that can hold a tensor are entered; anything that protobuf itself would not
write is refused rather than understood.

    ModelProto > GraphProto > NodeProto > AttributeProto > TensorProto, and the like
"""

from collections.abc import Iterator, Mapping

from service.errors import DamagedBundle

Fields = Mapping[int, str]

HOLDS: Mapping[str, Fields] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "function": {7: "node", 11: "attribute"},
    "training": {1: "graph", 2: "graph"},
    "tensor": {},
}
"""Messages of onnx.proto by field number, where they lead to a tensor."""

EXTERNAL_DATA, DATA_LOCATION = 13, 14
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
TAG_BITS = 32
MOST_DEPTH = 64
MOST_FIELDS = 5_000_000
"""Fields that are looked at, so that a file made of tiny ones cannot take minutes."""


def check_self_contained(content: bytes, name: str) -> None:
    """Raise `DamagedBundle` if a graph is not ONNX, or reads anything but itself."""
    try:
        _Walk(content).run()
    except ValueError as error:
        raise DamagedBundle(f"{name} cannot be loaded: {error}") from error


class _Walk:
    """One pass over a model; raises ValueError that says why it is refused."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._count = 0

    def run(self) -> None:
        """Visit every message that may hold a tensor."""
        if not self._content:
            raise ValueError("it is empty")
        left = [("model", 0, len(self._content), 0)]
        while left:
            kind, start, end, depth = left.pop()
            if depth > MOST_DEPTH:
                raise ValueError("it is nested too deeply")
            for number, wire, value, begin in self._fields(start, end):
                if kind == "tensor":
                    _check_tensor(number, value)
                elif (inner := HOLDS[kind].get(number)) and wire == BYTES:
                    left.append((inner, begin, begin + value, depth + 1))

    def _fields(self, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
        """Yield number, wire type, value (of bytes: how many) and where the bytes begin."""
        at = start
        while at < end:
            self._count += 1
            if self._count > MOST_FIELDS:
                raise ValueError("it has too many fields")
            tag, at = self._varint(at, end)
            if tag >> TAG_BITS:
                raise ValueError("it is no ONNX graph")  # others would drop the bits, and go on
            number, wire = tag >> 3, tag & 7
            value = 0
            if wire in (VARINT, BYTES):
                value, at = self._varint(at, end)
            begin = at
            if wire == BYTES:
                at += value
            elif wire in (FIXED64, FIXED32):
                at += 8 if wire == FIXED64 else 4
            if not number or wire not in (VARINT, FIXED64, BYTES, FIXED32) or at > end:
                raise ValueError("it is no ONNX graph")
            yield number, wire, value, begin

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """Return a number of 7 bits a byte, the low ones first, and where it ends."""
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                break
            byte = self._content[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at
        raise ValueError("it is no ONNX graph")


def _check_tensor(number: int, value: int) -> None:
    if number == EXTERNAL_DATA or (number == DATA_LOCATION and value):
        raise ValueError("a tensor of it lies in another file; a graph must be one file")
