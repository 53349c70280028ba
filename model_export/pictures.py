"""Pictures of a run: the learning curve, and both attentions of a few dev sentences."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model_export.decode import greedy, pad_sources
from model_export.model import Seq2Seq
from model_export.run import Run
from model_export.subwords import BOS, EOS
from model_export.wait import wait
from service.errors import RequestError
from service.hypotheses import Floats
from service.options import AttentionKind, Options
from service.tokenizer import Encoded, Tokenizer
from service.translator import Translator

CHINESE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Microsoft YaHei",
    "SimHei",
    "Arial Unicode MS",
)
"""Fonts that hold what the usual one lacks; the first that is installed stands in for it."""

SENTENCES = 3
KINDS: Mapping[AttentionKind, str] = {"cross": "cross-attention", "alignment": "alignment head"}
TITLES = tuple(KINDS.values())
EOS_TEXT = "</s>"

_INSTALLED = {font.name for font in font_manager.fontManager.ttflist}
plt.rcParams["font.family"] = [
    *plt.rcParams["font.family"],
    *(name for name in CHINESE_FONTS if name in _INSTALLED),
]


def draw_curve(run: Run) -> Path:
    """Draw losses and dev scores against steps; return the picture's path."""
    rows = run.logged()
    losses = [row for row in rows if "token" in row]
    dev = [row for row in rows if "chrf" in row]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for name in ("token", "cross", "alignment"):
        left.plot([row["step"] for row in losses], [row[name] for row in losses], label=name)
    left.set(xlabel="step", ylabel="training loss", yscale="log")
    left.legend()
    for name in ("bleu", "chrf"):
        right.plot([row["step"] for row in dev], [row[name] for row in dev], "o-", label=name)
    right.set(xlabel="step", ylabel="dev score")
    right.legend()
    return save(figure, run.path("curve.png"))


def draw_attentions(run: Run, model: Seq2Seq) -> Path:
    """Draw what there is of cross-attention and alignment head for a few dev sentences."""
    source, target = run.tokenizers()
    dev = run.dev_pairs()
    texts = [pair.source for pair in dev[:: max(1, len(dev) // SENTENCES)]][:SENTENCES]
    figure, axes = plt.subplots(
        len(texts), 2, figsize=(10, 4.4 * len(texts)), layout="constrained", squeeze=False
    )
    for text, row in zip(texts, axes, strict=True):
        encoded = source.encode(text)
        tokens, attended = _attend(model, encoded)
        columns = [*(span.of(text) for span in encoded.spans), EOS_TEXT]
        rows = [*_pieces(target, tokens), EOS_TEXT]
        for place, title in zip(row, TITLES, strict=True):
            if title in attended:
                draw_matrix(place, attended[title], columns, rows, title)
            else:
                place.set_axis_off()
    return save(figure, run.path("attention.png"))


def draw_translation(translator: Translator, text: str, path: Path) -> Path:
    """Draw the attentions of a text, one sentence, as a bundle translates it.

    Raises `RequestError` if the model has none.
    """
    kinds = [attention.kind for attention in translator.manifest.model.attention]
    if not kinds:
        raise RequestError("this model has no attention to draw")
    figure, axes = plt.subplots(
        1, len(kinds), figsize=(5 * len(kinds), 4.4), layout="constrained", squeeze=False
    )
    for place, kind in zip(axes[0], [kind for kind in KINDS if kind in kinds], strict=True):
        options = Options(attention=kind, split_sentences=False)
        (translation,) = wait(translator.translate([text], options))
        (sentence,) = translation.sentences
        columns = [token.text or EOS_TEXT for token in sentence.source.tokens]
        rows = [token.text or EOS_TEXT for token in sentence.best.target.tokens]
        assert sentence.best.attention is not None
        draw_matrix(place, sentence.best.attention, columns, rows, KINDS[kind])
    return save(figure, path)


def draw_matrix(
    axes: Axes, matrix: Floats, columns: Sequence[str], rows: Sequence[str], title: str
) -> None:
    """Draw a (target, source) matrix with its tokens."""
    axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_title(title)


@torch.inference_mode()
def _attend(model: Seq2Seq, encoded: Encoded) -> tuple[list[int], dict[str, Floats]]:
    """Return greedy tokens, and attentions by name with a row for `</s>`, (T + 1, S + 1)."""
    tokens = greedy(model, [encoded.ids], 2 * len(encoded.ids) + 10)[0]
    source, lengths = pad_sources([encoded.ids])
    output = model(source, lengths, torch.tensor([[BOS, *tokens, EOS]]))
    found = {}
    if output.cross is not None:
        found[KINDS["cross"]] = output.cross[0, : len(tokens) + 1].numpy()
    if output.alignment is not None:
        found[KINDS["alignment"]] = torch.softmax(output.alignment[0, 1:], dim=-1).numpy()
    return tokens, found


def _pieces(tokenizer: Tokenizer, ids: Sequence[int]) -> list[str]:
    decoded = tokenizer.decode(ids)
    return [span.of(decoded.text) for span in decoded.spans]


def save(figure: Figure, path: Path) -> Path:
    """Write a picture; return its path."""
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
