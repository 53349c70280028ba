"""Pairs as they are read, kept, batched and padded."""

import dataclasses
import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_export import corpus
from model_export.config import Corpus, Source
from model_export.corpus import Encoded, Pair, Ragged
from service.tokenizer import Tokenizer

PAD, BOS, EOS = 0, 2, 3
OPTIONS = Corpus(("a.tsv.gz", "b.tsv.gz"), {"known": Source(1.0, "", "", "")}, 20, 2.0, 10, "dev")


def write(path: Path, text: str) -> None:
    with gzip.open(path, "wt", encoding="utf-8", newline="\n") as out:
        out.write(text)


def encoded(lengths: list[tuple[int, int]]) -> Encoded:
    """Pairs of these lengths, whose ids tell them apart, without links."""
    sources = [[10 + i] * source for i, (source, _) in enumerate(lengths)]
    targets = [[500 + i] * target for i, (_, target) in enumerate(lengths)]
    links = Ragged.of([[] for _ in lengths])
    return Encoded(Ragged.of(sources), Ragged.of(targets), links, np.ones(len(lengths), np.float32))


def epoch(data: Encoded, budget: int, seed: int, longest: int = 100) -> list[NDArray[np.int64]]:
    return corpus.batches(data, budget, longest, np.random.default_rng(seed))


@given(st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5), max_size=8))
def test_rows_come_back_from_a_flat_array(rows: list[list[int]]) -> None:
    ragged = Ragged.of(rows)
    assert len(ragged) == len(rows)
    assert [ragged[i].tolist() for i in range(len(rows))] == rows
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    assert ragged.values.dtype == np.int32


def test_pairs_are_read_from_every_file_in_turn(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv.gz", "Hi.\tSalut.\tknown\nA\u2028b\rc\tB\tother\textra\n")
    write(tmp_path / "b.tsv.gz", "Bye.\tAdieu.\n")
    pairs = list(corpus.read_pairs(tmp_path, OPTIONS.files))
    assert pairs == [
        Pair("Hi.", "Salut.", "known"),
        Pair("A\u2028b\rc", "B", "other"),
        Pair("Bye.", "Adieu.", ""),
    ]


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(corpus.read_pairs(tmp_path, ["a.tsv.gz"]))


@pytest.mark.parametrize(
    ("source", "target", "kept"),
    [
        (5, 5, True),
        (0, 5, False),
        (5, 0, False),
        (20, 20, True),
        (21, 20, False),
        (20, 21, False),
        (2, 14, True),  # twice as long, and ten more
        (2, 15, False),
        (14, 2, True),
        (15, 2, False),
    ],
)
def test_implausible_lengths_are_left_out(source: int, target: int, kept: bool) -> None:
    assert corpus.keep_pair(Pair("x" * source, "y" * target, "known"), OPTIONS) is kept


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Qui es-tu?", "Qui es-tu ?"),
        ("Qui es-tu ?", "Qui es-tu ?"),
        ("Quoi\u202f?", "Quoi\u202f?"),
        ("Non! Si?! (Ah!)", "Non ! Si ?! (Ah !)"),
        ('Il dit "Viens!".', 'Il dit "Viens !".'),
        ("« Viens »!", "« Viens » !"),
        ("a?b https://x.org/?q=1 !important ...?", "a?b https://x.org/?q=1 !important ...?"),
        ("", ""),
    ],
)
def test_a_target_has_a_space_before_its_spaced_marks(text: str, written: str) -> None:
    french = dataclasses.replace(OPTIONS, spaced_marks="?!")
    assert corpus.spaced(text, french) == written
    assert corpus.spaced(written, french) == written
    assert corpus.spaced(text, OPTIONS) == text, "where a recipe does not ask for it"


def test_training_targets_have_their_marks_spaced(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv.gz", "Who are you?\tQui es-tu?\tknown\n")
    write(tmp_path / "b.tsv.gz", "")
    french = dataclasses.replace(OPTIONS, spaced_marks="?!")
    assert corpus.training_pairs(tmp_path, french) == [Pair("Who are you?", "Qui es-tu ?", "known")]


def test_training_pairs_are_of_known_corpora_and_plausible(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv.gz", "a\tb\tknown\nc\td\tother\n\tf\tknown\n")
    write(tmp_path / "b.tsv.gz", "g\th\tknown\n")
    pairs = corpus.training_pairs(tmp_path, OPTIONS)
    assert pairs == [Pair("a", "b", "known"), Pair("g", "h", "known")]


def test_a_corpus_that_has_no_pair_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a.tsv.gz", "a\tb\tknown\nc\td\tother\n\tf\tempty\n")
    write(tmp_path / "b.tsv.gz", "")
    sources = dict.fromkeys(("known", "empty", "knwon"), OPTIONS.sources["known"])
    with pytest.raises(corpus.CorpusError, match=r"a\.tsv\.gz, b\.tsv\.gz: no pair of empty, knw"):
        corpus.training_pairs(tmp_path, dataclasses.replace(OPTIONS, sources=sources))


def test_texts_become_ids_without_special_tokens() -> None:
    model = Path(corpus.__file__).parents[1] / "service" / "bundles" / "en-fr" / "source.model"
    tokenizer = Tokenizer(model)
    ragged = corpus.encode_texts(tokenizer, ["Thanks", "", "It rains."])
    assert ragged[1].tolist() == []
    assert tokenizer.decode(ragged[2].tolist()).text == "It rains."
    assert not {tokenizer.bos, tokenizer.eos, tokenizer.pad} & set(ragged.values.tolist())


LENGTHS = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=60)


@given(LENGTHS, st.integers(1, 200), st.integers(0, 3))
def test_an_epoch_holds_every_usable_pair_once(
    lengths: list[tuple[int, int]], budget: int, seed: int
) -> None:
    data = encoded([*lengths, (3, 3)])
    groups = epoch(data, budget, seed, longest=21)
    usable = [i for i, pair in enumerate([*lengths, (3, 3)]) if max(pair) + 1 <= 21]
    assert sorted(np.concatenate(groups).tolist()) == usable
    for group in groups:
        widths = np.maximum(data.source.lengths[group], data.target.lengths[group]) + 1
        assert len(group) == 1 or len(group) * widths.max() <= budget


def test_an_epoch_draws_a_share_of_the_pairs() -> None:
    shares = np.repeat(np.array([0.0, 0.25, 1.0, 1.5, 2.0], np.float32), 400)
    counts = np.zeros(5)
    epochs = [corpus.draw(shares, np.random.default_rng(seed)) for seed in range(3)]
    for drawn in epochs:
        counts += np.bincount(drawn // 400, minlength=5) / (3 * 400)
    assert counts == pytest.approx([0, 0.25, 1, 1.5, 2], abs=0.06)
    assert counts[[0, 2, 4]].tolist() == [0, 1, 2]
    assert epochs[0].tolist() != epochs[1].tolist(), "every epoch draws afresh"


def test_pairs_have_the_share_of_their_corpus() -> None:
    sources = {"a": Source(0.5, "", "", ""), "b": Source(2.0, "", "", "")}
    options = dataclasses.replace(OPTIONS, sources=sources)
    pairs = [Pair("x", "y", corpus_id) for corpus_id in "abba"]
    assert corpus.shares(pairs, options).tolist() == [0.5, 2.0, 2.0, 0.5]


def test_little_of_a_batch_is_padding() -> None:
    rng = np.random.default_rng(0)
    lengths = [(int(n), int(n)) for n in rng.integers(1, 40, 2000)]
    data = encoded(lengths)
    real = sum(source + 1 for source, _ in lengths)
    padded = sum(len(g) * int(data.source.lengths[g].max() + 1) for g in epoch(data, 400, 1))
    assert padded < 1.1 * real


def test_order_comes_from_the_seed_alone() -> None:
    data = encoded([(n % 9 + 1, n % 7 + 1) for n in range(300)])
    first, again, other = (epoch(data, 60, seed) for seed in (1, 1, 2))
    assert [group.tolist() for group in first] == [group.tolist() for group in again]
    assert [group.tolist() for group in first] != [group.tolist() for group in other]
    widths = [int(data.target.lengths[group].max()) for group in first]
    assert widths != sorted(widths), "batches come in no order of length"
    together = [{frozenset(group.tolist()) for group in groups} for groups in (first, other)]
    assert together[0] != together[1], "nor do the same pairs always meet"


def example() -> Encoded:
    links = [[0 << 16 | 1, 1 << 16 | 0, 2 << 16 | 0], [], [0 << 16 | 2]]
    sources, targets = [[11, 12, 13], [14], [15]], [[21, 22], [23], [24, 25, 26]]
    shares = np.ones(3, np.float32)
    return Encoded(Ragged.of(sources), Ragged.of(targets), Ragged.of(links), shares)


def test_a_batch_is_padded_with_its_special_tokens() -> None:
    batch = corpus.collate(example(), np.array([2, 0]), PAD, BOS, EOS)
    assert batch.source.tolist() == [[15, EOS, PAD, PAD], [11, 12, 13, EOS]]
    assert batch.source_lengths.tolist() == [2, 4]
    assert batch.target_in.tolist() == [[BOS, 24, 25, 26], [BOS, 21, 22, PAD]]
    assert batch.target_out.tolist() == [[24, 25, 26, EOS], [21, 22, EOS, PAD]]
    assert batch.links.shape == (2, 4, 4)


def test_links_stand_where_their_token_is_read() -> None:
    batch = corpus.collate(example(), np.array([0, 1, 2]), PAD, BOS, EOS)
    assert batch.links.dtype == np.float32
    assert batch.links[0].tolist() == [[0] * 4, [0, 0.5, 0.5, 0], [1, 0, 0, 0], [0] * 4]
    assert not batch.links[1].any()
    assert batch.links[2, 3].tolist() == [1, 0, 0, 0]
    sums = batch.links.sum(-1)
    assert set(sums.ravel().tolist()) == {0.0, 1.0}
    assert not sums[:, 0].any(), "<s> translates nothing"


@given(LENGTHS, st.integers(0, 1000))
def test_every_row_of_links_sums_to_one_or_zero(lengths: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [
        sorted({int(rng.integers(s)) << 16 | int(rng.integers(t)) for _ in range(s)})
        for s, t in lengths
    ]
    data = dataclasses.replace(encoded(lengths), links=Ragged.of(rows))
    batch = corpus.collate(data, np.arange(len(lengths)), PAD, BOS, EOS)
    for i, row in enumerate(rows):
        sums = batch.links[i].sum(-1)
        linked = sorted({(link & 0xFFFF) + 1 for link in row})
        assert np.flatnonzero(sums).tolist() == linked
        assert sums[linked] == pytest.approx(1.0, abs=1e-6)
        assert not batch.links[i, :, lengths[i][0] :].any(), "links stay within the source"


def test_a_line_without_a_tab_is_named(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "a.tsv.gz", "wt", encoding="utf-8") as out:
        out.write("Thanks\tMerci\nWhat is this\n")
    with pytest.raises(corpus.CorpusError, match=r"a\.tsv\.gz, line 2: no tab"):
        list(corpus.read_pairs(tmp_path, ["a.tsv.gz"]))
