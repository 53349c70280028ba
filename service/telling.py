"""What a stream tells of a sentence, token by token: as they are chosen, or all of them late."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from service.hypotheses import Chosen, Path
from service.keeping import restore
from service.legible import loud
from service.options import Options
from service.reading import Reader
from service.tokenizer import Spelling
from service.translation import TokenChosen
from service.units import EOS, Bare, Unit, UnitPair

Found = list[tuple[UnitPair, Path]]
"""The hypotheses of a sentence, best first, each with its source."""


@dataclass(frozen=True, slots=True)
class Place:
    """A sentence of a request: which of which text it is, and what it is without its tags."""

    text: int
    sentence: int
    unit: Unit
    bare: Bare | None

    @property
    def read(self) -> Unit:
        """What the model translates."""
        return self.unit if self.bare is None else self.bare.unit


class Teller:
    """Tells of tokens what was asked for; `delays` are those of the model's attentions."""

    def __init__(self, reader: Reader, delays: Mapping[str, int], eos: int) -> None:
        self._reader, self._delays, self._eos = reader, delays, eos

    def chosen(
        self, place: Place, chosen: Chosen, spelling: Spelling, options: Options
    ) -> TokenChosen:
        """Tell a token as soon as it is chosen."""
        is_end = chosen.token == self._eos
        added = spelling.end() if is_end else spelling.add(chosen.token)
        added = loud(added) if place.unit.shouted else added
        return self._told(place, chosen, restore(added, place.unit.carried).whole, options)

    def late(
        self, place: Place, pair: UnitPair, path: Path, options: Options
    ) -> Iterator[TokenChosen]:
        """Tell all tokens of a sentence that was not known before it was whole."""
        target, start = pair.target, 0
        ends = [span.end for span in target.encoded.spans]
        for step, token in enumerate(path.tokens):
            end = len(target.text) if step + 1 == len(path.tokens) else ends[step]
            rows = {
                kind: path.attention[kind][step - delay]
                for kind, delay in self._delays.items()
                if delay <= step
            }
            chosen = Chosen(step, token, float(path.scores[step]), rows)
            yield self._told(place, chosen, target.text[start:end], options)
            start = end

    def _told(self, place: Place, chosen: Chosen, delta: str, options: Options) -> TokenChosen:
        row = self._reader.row(chosen.attention, options)
        special = EOS if chosen.token == self._eos else None
        told = ("" if options.script else delta, special, chosen.score, row.attention, row.heads)
        return TokenChosen(place.text, place.sentence, chosen.step, *told)
