"""What is read off the attentions of a path: matrices, word links and diagnostics; no model.

Links come from one attention, folded to words, by the rule in the manifest. An attention of
several heads (T, N, S) is their mean wherever one matrix is wanted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from service import alignment
from service.alignment import Floats, Link
from service.diagnostics import Diagnostics, Seen, diagnose
from service.errors import DamagedBundle, RequestError
from service.hypotheses import Path
from service.manifest import Manifest
from service.options import AttentionKind, Options
from service.translation import Hypothesis, Matrix
from service.units import Unit, UnitPair, target_side


@dataclass(frozen=True, slots=True)
class Reading:
    """What a caller gets to see; None is what was not asked for.

    `attention` is (T, S) over tokens or over words, `heads` one such matrix for each head.
    """

    attention: Matrix | None
    heads: tuple[Matrix, ...] | None
    links: tuple[Link, ...]
    diagnostics: Diagnostics | None


@dataclass(frozen=True, slots=True)
class Row:
    """The attention row (S,) that one token came with, and the same of each head (N, S)."""

    attention: Mapping[str, Matrix]
    heads: Mapping[str, Matrix] | None


class Reader:
    """Reads what the attentions of a bundle's model say."""

    def __init__(self, manifest: Manifest) -> None:
        self._rule, self._bounds = manifest.link_rule, manifest.warn_from
        if self._rule.rule not in alignment.RULES:
            raise DamagedBundle(f"{manifest.name}: unknown link rule {self._rule.rule!r}")
        self._kinds = [attention.kind for attention in manifest.model.attention]

    def asked(self, options: Options, usual: AttentionKind) -> AttentionKind:
        """Return the kind to show, `usual` where the caller left it open and the model has it.

        Raises `RequestError` for what this model has not.
        """
        kind: AttentionKind = options.attention or (usual if usual in self._kinds else "none")
        if kind not in {"none", *self._kinds}:
            raise RequestError(
                f"this model has no {kind} attention", {"attention": sorted(["none", *self._kinds])}
            )
        if options.diagnostics and not self._kinds:
            raise RequestError("this model has no attention that diagnostics could be read off")
        return kind

    def read(self, pair: UnitPair, path: Path, options: Options) -> Reading:
        """Return what was asked for of a pair and the path that decoded its target.

        The attention of the options must be settled, as by `asked`.
        """
        words = _Words(pair)
        means = {name: _mean(one) for name, one in path.attention.items()}
        folded = {self._rule.attention: words.fold(means[self._rule.attention])} if means else {}
        links = self._links(folded)
        if options.diagnostics:
            folded |= {name: words.fold(one) for name, one in means.items() if name not in folded}
        told = self._diagnose(pair, folded, links) if options.diagnostics else None
        matrices = self._matrices(path, options)
        if options.unit == "word":
            matrices = [words.fold(matrix) for matrix in matrices]
        if not matrices:
            return Reading(None, None, links, told)
        shown, *heads = matrices
        return Reading(shown, tuple(heads) if options.heads else None, links, told)

    def row(self, attention: Mapping[str, Floats], options: Options) -> Row:
        """Return what a token's rows (S,) or (N, S) show; nothing if no matrix was asked for."""
        shown = {} if options.attention == "none" else attention
        heads = {kind: np.atleast_2d(rows) for kind, rows in shown.items()}
        means = {kind: rows.mean(0) if len(rows) > 1 else rows[0] for kind, rows in heads.items()}
        return Row(means, heads if options.heads else None)

    def _matrices(self, path: Path, options: Options) -> list[Matrix]:
        """Return the attention over tokens that was asked for, and then its heads."""
        if options.attention in (None, "none"):
            return []
        attention = path.attention[options.attention]
        heads = _heads(attention) if options.heads else ()
        return [_mean(attention), *heads]

    def _links(self, folded: Mapping[str, Floats]) -> tuple[Link, ...]:
        rule = self._rule
        if not folded:
            return ()
        return tuple(alignment.links(folded[rule.attention], rule.rule, rule.threshold))

    def _diagnose(
        self, pair: UnitPair, folded: Mapping[str, Floats], links: tuple[Link, ...]
    ) -> Diagnostics:
        source, target = pair.source.spelled(), pair.target.spelled()
        return diagnose(Seen(source, target, folded, self._rule.attention, links, self._bounds))


def hypothesis(target: Unit, path: Path, read: Reading) -> Hypothesis:
    """Return a target and what was read of it as an answer shows them."""
    side = target_side(target, path)
    reason = "stop" if path.finished else "length"
    return Hypothesis(side, read.attention, read.links, path.score, reason, read.heads)


class _Words:
    """Folds matrices over the tokens of a pair to matrices over its words."""

    def __init__(self, pair: UnitPair) -> None:
        source, target = pair.source, pair.target
        self._columns = alignment.membership(source.encoded.spans, source.words)
        self._rows = alignment.membership(target.encoded.spans, target.words)

    def fold(self, matrix: Floats) -> Matrix:
        return alignment.fold(matrix, self._columns, self._rows)


def _mean(attention: Floats) -> Floats:
    """Return (T, S) of (T, S) or (T, N, S)."""
    if attention.ndim == 2:
        return attention
    mean: Floats = attention.mean(axis=1)
    return mean


def _heads(attention: Floats) -> tuple[Matrix, ...]:
    """Return N matrices (T, S) of (T, N, S), one of (T, S)."""
    if attention.ndim == 2:
        return (attention,)
    return tuple(attention[:, head] for head in range(attention.shape[1]))
