"""Hugging Face `generate` on a Marian model of random weights: sole importer of it."""

from collections.abc import Sequence
from typing import Any

import torch
import transformers

from benchmarks.transformer import Shape
from service.manifest import Special


class Generate:
    """`MarianMTModel.generate` of a given number of tokens, float32 on the CPU."""

    def __init__(self, shape: Shape, special: Special, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(1)
        logging: Any = transformers.utils.logging
        logging.set_verbosity_error()
        model: Any = transformers.MarianMTModel(_settings(shape, special))
        self._model: Any = model.eval()
        self.parameters = int(self._model.num_parameters())

    @torch.inference_mode()
    def fixed(self, sources: Sequence[Sequence[int]], length: int, beam: int) -> None:
        """Decode exactly `length` tokens of sources of one length, ids with `</s>` last."""
        source = torch.tensor(sources)
        made = self._model.generate(
            input_ids=source,
            attention_mask=torch.ones_like(source),
            num_beams=beam,
            do_sample=False,
            min_new_tokens=length,
            max_new_tokens=length,
        )
        assert made.shape == (len(sources), length + 1)  # with the start token


def _settings(shape: Shape, special: Special) -> Any:
    return transformers.MarianConfig(
        vocab_size=shape.pieces,
        d_model=shape.size,
        encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.inner,
        decoder_ffn_dim=shape.inner,
        activation_function="relu",
        max_position_embeddings=512,
        pad_token_id=special.pad,
        bos_token_id=special.bos,
        eos_token_id=special.eos,
        decoder_start_token_id=special.bos,
        forced_eos_token_id=None,
    )
