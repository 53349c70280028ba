"""The shipped bundle on the serving engine, offline: what every peer is measured against."""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from benchmarks import fixed, graphs
from service import cores
from service.admission import Job
from service.beam import Beam
from service.bundle import Bundle, open_bundle
from service.engine import Capacity, Engine
from service.forced_graph import ROLE
from service.hypotheses import Path as Hypothesis
from service.hypotheses import Source
from service.manifest import Model
from service.runner import Runner
from service.search import Greedy
from service.settings import read_settings
from service.shelf import EMBEDDED

NAME = "en-fr"
UNBOUNDED = 10**6
"""Sentences that may wait: offline, nobody is refused."""


def shipped(name: str = NAME) -> Bundle:
    """Open an embedded bundle."""
    return open_bundle(EMBEDDED / name)


def capacity(workers: int = 0, slots: int = 0, batch_tokens: int = 0) -> Capacity:
    """Return what a server would hold by its settings, where nothing else is asked for."""
    settings = read_settings()
    return Capacity(
        workers or settings.workers or cores.usable(),
        slots or settings.slots,
        batch_tokens or settings.batch_tokens,
        UNBOUNDED,
    )


class Ours:
    """An engine and an event loop of its own; a context manager."""

    def __init__(self, bundle: Bundle, held: Capacity, attention: bool = True) -> None:
        """Make the graphs as shipped, or cut out of them what only attention needs."""
        self.model: Model = bundle.manifest.model
        self.source_pieces = graphs.pieces(bundle.path(self.model.graph("encoder").file))
        self.target_pieces = graphs.pieces(bundle.path(self.model.graph("decoder").file))
        if attention:
            self.runner = Runner(bundle.read, self.model)
        else:
            with tempfile.TemporaryDirectory() as folder:
                self.model = cut_attention(bundle, Path(folder))
                self.runner = Runner(_first_of(Path(folder), bundle), self.model)
        self.capacity = held
        self._engine = Engine(self.runner, held)
        self._loop = asyncio.new_event_loop()

    def __enter__(self) -> "Ours":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._engine.close(1.0)
        self._loop.close()

    def fixed(self, sources: Sequence[Sequence[int]], length: int, beam: int) -> None:
        """Decode exactly `length` tokens of every source, ids with `</s>` last."""
        made = self._decode(
            [Job(source, fixed.search(self.model, len(source), length, beam)) for source in sources]
        )
        assert all(len(paths[0].tokens) == length for paths in made)

    def greedy(self, sources: Sequence[Sequence[int]]) -> list[Hypothesis]:
        """Decode greedily until `</s>`, or as long as the service would."""
        return self.search(sources, beam=1)

    def search(self, sources: Sequence[Sequence[int]], beam: int) -> list[Hypothesis]:
        """Return the best hypothesis of every source, by greedy search or with a beam."""
        jobs = [Job(source, self._search(len(source), beam)) for source in sources]
        return [paths[0] for paths in self._decode(jobs)]

    def _search(self, length: int, beam: int) -> Greedy | Beam:
        special, most = self.model.special, self.model.limits.target_tokens
        delays = {attention.kind: attention.delay for attention in self.model.attention}
        about = Source(length, special.eos, special.bos, delays)
        longest = limit(length, most)
        return Greedy(about, longest) if beam == 1 else Beam(about, longest, beam, 1)

    def _decode(self, jobs: Sequence[Job]) -> list[list[Hypothesis]]:
        # Not `asyncio.Runner`, which spells out the whole answer when it lets go of Ctrl-C.
        return self._loop.run_until_complete(self._engine.run(jobs))


def limit(source_length: int, most: int) -> int:
    """Return how long the service lets a translation become, in target tokens."""
    return min(most, 3 * source_length + 20)


def cut_attention(bundle: Bundle, to: Path) -> Model:
    """Save the graphs without what only attention's outputs need; return their description.

    Cross-attention itself stays, the decoder works with it; the alignment head goes, and with it
    the graph that reads given targets at once.
    """
    model = bundle.manifest.model
    encoder, decoder = model.graph("encoder").file, model.graph("decoder").file
    unwanted = [attention.output for attention in model.attention]
    graphs.without(bundle.path(decoder), unwanted, to / decoder)
    read = graphs.inputs(to / decoder)
    memory = tuple(name for name in model.memory if name in read)
    graphs.without(bundle.path(encoder), sorted({*model.memory} - {*memory}), to / encoder)
    left = tuple(graph for graph in model.graphs if graph.role != ROLE)
    return replace(model, attention=(), memory=memory, graphs=left)


def _first_of(folder: Path, bundle: Bundle) -> Callable[[str], bytes]:
    """Return what reads a file: in the folder, or else in the bundle."""

    def read(name: str) -> bytes:
        return (folder / name).read_bytes() if (folder / name).exists() else bundle.read(name)

    return read
