"""The rows that a decoder's graph computes on: one of each sentence, or one of each position.

What is said of a token alone is said of rows (R, ...), whatever they are. Where they meet what
a sentence has, its memory, they are spread out. Every row meets it in a product of its own, of
a single row: a runtime sums larger ones in another order, so a target that is read at once
would not be what it is step by step, to the last bit.

Axes: R rows, B batch, T positions of a target, W width.
"""

from collections.abc import Sequence

from model_export.graphs.spelling import Float32, Int8


class Rows:
    """One row of each sentence: R is B."""

    lead = 1
    """Axes that stand for rows once they are spread."""

    def start(self, graph: Float32 | Int8) -> None:
        """Say what the methods below read."""
        graph.constant("row_axes", list(range(1, self.lead + 1)))
        graph.constant("row_axis", [-2])

    def kept(self, graph: Float32 | Int8, values: str) -> str:
        """Return the name of values (R, W) without the rows that stand for nothing."""
        return values

    def spread(self, graph: Float32 | Int8, result: str, values: str, sizes: Sequence[int]) -> None:
        """result (B, *sizes) = values (R, W)."""
        graph.constant(f"{result}_shape", [0, *sizes])
        graph.say(f"{result} = Reshape ({values}, {result}_shape)")

    def meet(self, graph: Float32 | Int8, result: str, left: str, held: str) -> None:
        """result = left, which was `spread`, times what its sentence has: held (B, ...)."""
        graph.say(f"{result} = MatMul ({left}, {held})")

    def ask(self, graph: Float32 | Int8, result: str, left: str, held: str) -> None:
        """result (B, 1, S) = left (B, 1, W) times each row of held (B, S, W)."""
        graph.say(f"""
            {result}_columns = Transpose <perm = [0, 2, 1]> ({held})
            {result} = MatMul ({left}, {result}_columns)""")


class Positions(Rows):
    """T rows of each sentence, one of each position of its target: R is B T.

    `grid` is the shape (B, T). A row that stands for padding is not `real` (R,).
    """

    lead = 2

    def start(self, graph: Float32 | Int8) -> None:
        """Say what the methods below read, from `tokens` (B, T) and `lengths` (B,)."""
        super().start(graph)
        graph.constant("flat", [-1])
        graph.constant("start", 0)
        graph.constant("next", 1)
        graph.constant("first_axis", [0])
        graph.constant("met_axes", [0, 2])
        graph.say("""
            grid = Shape (tokens)
            steps = Shape <start = 1> (tokens)    end = Squeeze (steps)
            positions = Range (start, end, next)                          # (T,)
            length_column = Unsqueeze (lengths, second_axis)
            real_positions = Less (positions, length_column)              # (B, T)
            real = Reshape (real_positions, flat)""")

    def kept(self, graph: Float32 | Int8, values: str) -> str:
        """Return the name of values (R', W) without padding."""
        graph.say(f"{values}_kept = Compress <axis = 0> ({values}, real)")
        return f"{values}_kept"

    def put_back(self, graph: Float32 | Int8, result: str, values: str) -> None:
        """result (B, T) = values (R', 1) where they belong, zero on padding."""
        graph.say(f"""
            {result}_line = Reshape ({values}, flat)
            {result}_rows = Shape (real)
            {result}_none = Expand (zero, {result}_rows)
            {result}_places = NonZero (real)                              # (1, R')
            {result}_column = Transpose <perm = [1, 0]> ({result}_places)
            {result}_all = ScatterND ({result}_none, {result}_column, {result}_line)
            {result} = Reshape ({result}_all, grid)""")

    def spread(self, graph: Float32 | Int8, result: str, values: str, sizes: Sequence[int]) -> None:
        """result (B, T, *sizes) = values (R, W)."""
        graph.constant(f"{result}_sizes", list(sizes))
        graph.say(f"""
            {result}_shape = Concat <axis = 0> (grid, {result}_sizes)
            {result} = Reshape ({values}, {result}_shape)""")

    def meet(self, graph: Float32 | Int8, result: str, left: str, held: str) -> None:
        """result = left, which was `spread`, times what its sentence has: held (B, ...).

        Without the axis in front of `held`, ONNX Runtime would make one product of all rows
        where there is but one sentence.
        """
        graph.say(f"""
            {result}_held = Unsqueeze ({held}, met_axes)                  # (1, B, 1, ...)
            {result}_met = MatMul ({left}, {result}_held)
            {result} = Squeeze ({result}_met, first_axis)""")

    def ask(self, graph: Float32 | Int8, result: str, left: str, held: str) -> None:
        """result (B, T, 1, S) = left (B, T, 1, W) times each row of held (B, S, W)."""
        graph.say(f"""
            {result}_held = Unsqueeze ({held}, met_axes)                  # (1, B, 1, S, W)
            {result}_columns = Transpose <perm = [0, 1, 2, 4, 3]> ({result}_held)
            {result}_met = MatMul ({left}, {result}_columns)
            {result} = Squeeze ({result}_met, first_axis)""")
