"""Small networks of every kind, for what must hold for all of them.

`ARCHITECTURES` holds every pair of choices that could disturb each other at least once:
encoder, decoder, attention, input feeding, a top layer, one layer or two, whether memory is
bounded (a Transformer encoder's is not), and some without alignment head.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from model_export import config, export
from model_export.calibration import Scales, scales, watched
from model_export.model import Seq2Seq
from model_export.subwords import BOS, EOS, PAD
from service import manifest
from service.runner import Runner

PIECES = 40
FIRST_WORD = 4  # the pieces below are special
SPECIAL = manifest.Special(PAD, BOS, EOS)
LIMITS = manifest.Limits(400, 800, export.SOURCE_MULTIPLE)
PRECISIONS: tuple[export.Precision, ...] = ("fp32", "int8")


def network(
    encoder: str,
    decoder: str,
    attention: str,
    layers: int = 1,
    top: int = 0,
    input_feeding: bool = False,
    heads: int = 2,
    alignment_head: int = 8,
) -> config.Model:
    """Return the sizes of a small network; no two of its widths mean the same by chance.

    Memory and decoder state are of one width, as the dot score asks. A recurrent decoder has
    one layer and its top, whatever `layers` says of the others.
    """
    deep = layers if decoder == "transformer" else 1
    return config.Model(
        config.Encoder(encoder, 14, 16, layers, heads=2, inner=24),
        config.Decoder(decoder, 18, 16, top, input_feeding, deep, heads=4, inner=20),
        config.Attention(
            attention, size=10, window=4, heads=heads if attention == "multi-head" else 1
        ),
        alignment_head=alignment_head,
        embedding_std=0.1,
        dropout=0.1,
        word_dropout=0.0,
    )


def name_of(sizes: config.Model) -> str:
    """Return what a network is called among its like."""
    decoder = sizes.decoder
    parts = [
        f"{sizes.encoder.kind}{sizes.encoder.layers}",
        decoder.kind,
        *(["top"] if decoder.top else []),
        *(["fed"] if decoder.input_feeding else []),
        sizes.attention.kind,
        *([] if sizes.alignment_head else ["headless"]),
    ]
    return "-".join(parts)


ARCHITECTURES: Mapping[str, config.Model] = {
    name_of(sizes): sizes
    for sizes in (
        network("lstm", "gru", "dot"),
        network("transformer", "lstm", "dot", layers=2, top=12, input_feeding=True),
        network("gru", "gru", "general", layers=2, top=12),
        network("transformer", "lstm", "general", input_feeding=True),
        network("transformer", "gru", "additive", layers=2, input_feeding=True),
        network("lstm", "lstm", "additive", top=12),
        network("gru", "gru", "concat", top=12, input_feeding=True),
        network("transformer", "lstm", "concat", layers=2),
        network("transformer", "gru", "local-p", top=12),
        network("gru", "lstm", "local-p", layers=2, input_feeding=True),
        network("lstm", "gru", "multi-head", layers=2, input_feeding=True),
        network("transformer", "lstm", "multi-head", top=12, heads=1),
        network("lstm", "gru", "none", layers=2, top=12, input_feeding=True),
        network("transformer", "gru", "none", layers=2),
        network("gru", "lstm", "none", alignment_head=0),
        network("lstm", "transformer", "multi-head"),
        network("gru", "transformer", "multi-head", layers=2, alignment_head=0),
        network("transformer", "transformer", "multi-head", layers=2),
    )
}


def lively(
    sizes: config.Model, seed: int = 1, pieces: tuple[int, int] = (PIECES, PIECES)
) -> Seq2Seq:
    """Return a model whose activations fill their range, as a trained one's do."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = Seq2Seq(*pieces, sizes).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.normal_(std=1.5 * weight.shape[-1] ** -0.5)
    return model


def sentences(lengths: Sequence[int], seed: int = 2) -> tuple[Tensor, Tensor]:
    """Return sources (B, S), zero on padding, and their lengths (B,)."""
    random = torch.Generator().manual_seed(seed)
    counts = torch.tensor(lengths)
    words = torch.randint(FIRST_WORD, PIECES, (len(counts), max(lengths)), generator=random)
    return words * (torch.arange(max(lengths)) < counts.unsqueeze(1)), counts


def targets(count: int, steps: int, seed: int = 3) -> Tensor:
    """Return given target tokens (count, steps)."""
    random = torch.Generator().manual_seed(seed)
    return torch.randint(FIRST_WORD, PIECES, (count, steps), generator=random)


def shown(model: Seq2Seq, lengths: Sequence[int] = (9, 5, 2), steps: int = 6) -> Scales:
    """Return the scales of what a model shows on a few sentences."""
    source, counts = sentences(lengths)
    with torch.inference_mode(), watched(model) as largest:
        model.decoder.logits(model(source, counts, targets(len(lengths), steps)).features)
    return scales(largest)


def written(model: Seq2Seq, folder: Path, precision: export.Precision) -> manifest.Model:
    """Export a model into a folder; return what a manifest says of it."""
    scales = shown(model)
    export.export(model, folder, precision, scales)
    described = export.describe(model, precision, scales)
    rest = {"special": asdict(SPECIAL), "limits": asdict(LIMITS)}
    return manifest.parse(manifest.Model, {**described, **rest}, folder.name)


def reader(folder: Path) -> Callable[[str], bytes]:
    """Return what reads a file of a folder."""
    return lambda name: (folder / name).read_bytes()


@dataclass(frozen=True)
class Exported:
    """A model, its folders by precision, and what a manifest says of each."""

    model: Seq2Seq
    folders: Mapping[export.Precision, Path]
    about: Mapping[export.Precision, manifest.Model]

    def runner(self, precision: export.Precision) -> Runner:
        """Return what runs the graphs of a precision."""
        folder = self.folders[precision]
        return Runner(reader(folder), self.about[precision])


def exported(sizes: config.Model, root: Path) -> Exported:
    """Export a lively model in both precisions, each into a folder of its own."""
    model = lively(sizes)
    folders = {precision: root / precision for precision in PRECISIONS}
    about = {precision: written(model, folders[precision], precision) for precision in PRECISIONS}
    return Exported(model, folders, about)
