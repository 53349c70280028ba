"""Requests and answers for the OpenAPI document; the requests work as they stand."""

from typing import Any

Example = dict[str, Any]

TRANSLATE: Example = {"text": "How was your day?", "source": "en", "target": "fr"}

ALIGN: Example = {
    "pairs": [
        {"source_text": "Thank you.", "target_text": "Merci."},
        {"source_text": ["Good", "morning", "!"], "target_text": ["Bonjour", "!"]},
        {"source_text": "I am hungry."},
    ],
    "source": "en",
    "target": "fr",
}

ALIGN_QUERY: Example = {
    "source_text": "Thank you.",
    "target_text": "Merci.",
    "source": "en",
    "target": "fr",
}

_MODEL: Example = {"name": "en-fr", "version": "2026.11.21+38a37665"}

_SOURCE: Example = {
    "text": "Thank you.",
    "span": [0, 10],
    "tokens": [
        {"text": "Thank", "span": [0, 5]},
        {"text": "you", "span": [6, 9]},
        {"text": ".", "span": [9, 10]},
        {"text": "", "span": [10, 10], "special": "</s>"},
    ],
    "words": [
        {"text": "Thank", "span": [0, 5]},
        {"text": "you", "span": [6, 9]},
        {"text": ".", "span": [9, 10]},
    ],
}

_TARGET: Example = {
    "text": "Merci.",
    "span": [0, 6],
    "tokens": [
        {"text": "Merci", "span": [0, 5], "score": -0.1042},
        {"text": ".", "span": [5, 6], "score": -0.0311},
        {"text": "", "span": [6, 6], "special": "</s>", "score": -0.0025},
    ],
    "words": [{"text": "Merci", "span": [0, 5]}, {"text": ".", "span": [5, 6]}],
}

_MATRIX = [[0.8127, 0.1604, 0.0201, 0.0068], [0.0105, 0.0312, 0.9421, 0.0162], [0.0, 0.0, 0.0, 1.0]]

_LINKS: list[Example] = [
    {"source": 0, "target": 0, "score": 0.9021},
    {"source": 1, "target": 0, "score": 0.4107},
    {"source": 2, "target": 1, "score": 0.9932},
]

TRANSLATED: Example = {
    "model": _MODEL,
    "translations": [
        {
            "text": "Merci.",
            "score": -0.0459,
            "sentences": [
                {
                    "source": _SOURCE,
                    "target": _TARGET,
                    "attention": _MATRIX,
                    "alignment": _LINKS,
                    "score": -0.0459,
                    "finish_reason": "stop",
                    "alternatives": [],
                }
            ],
        }
    ],
}

ALIGNED: Example = {
    "model": _MODEL,
    "alignments": [
        {
            "source": _SOURCE,
            "target": _TARGET,
            "attention": _MATRIX,
            "alignment": _LINKS,
            "pharaoh": "0-0 1-0 2-1",
            "score": -0.0459,
        }
    ],
}

DIAGNOSTICS: Example = {
    "attention": "alignment",
    "entropy": {
        "cross": {"words": [0.4064, 1.1292, 0.1508], "mean": 0.5621},
        "alignment": {"words": [0.8361, 0.6203, 0.0203], "mean": 0.4922},
    },
    "end_mass": {"cross": [0.1083, 0.059, 0.0008], "alignment": [0.0055, 0.0021, 0.0]},
    "coverage": [
        {"received": 0.5377, "strongest": 0.5237, "linked": True},
        {"received": 0.8039, "strongest": 0.7842, "linked": True},
        {"received": 0.6397, "strongest": 0.4454, "linked": False},
        {"received": 0.0135, "strongest": 0.0082, "linked": False},
        {"received": 0.9975, "strongest": 0.997, "linked": True},
    ],
    "unattended": [3],
    "unsourced": [],
    "repeated_focus": [],
    "evidence": {"omission": 0.4396, "hallucination": 0.0},
    "warnings": [
        {
            "code": "possible_omission",
            "message": 'Nothing in the target seems to translate "and", "dance".',
            "words": [2, 3],
            "spans": [[8, 11], [12, 17]],
        }
    ],
}

MODELS: list[Example] = [
    {
        **_MODEL,
        "source": "en",
        "target": "fr",
        "licence": "CC-BY-SA-4.0",
        "architecture": "bi-LSTM encoder, GRU decoder, Luong general attention, alignment head",
        "parameters": 12729984,
        "precision": "int8",
        "attention": ["cross", "alignment"],
        "heads": {"cross": 1, "alignment": 1},
        "alignment_from": "alignment",
        "link_rule": {"attention": "alignment", "rule": "mutual-best", "threshold": 0.44},
        "limits": {"source_tokens": 400, "target_tokens": 800, "source_multiple": 4},
        "metrics": [{"set": "tatoeba.en-fr", "precision": "int8", "bleu": 37.93, "chrf": 58.53}],
    }
]

LANGUAGES: list[Example] = [{"code": "en", "name": "English", "targets": ["fr"]}]

REFUSED: Example = {
    "error": {
        "code": "invalid_request",
        "message": "beam_size: should be a valid integer",
        "request_id": "5f0c6b9e7f6f4c0f9d5c8f1f7f0e6a3b",
        "detail": {"errors": [{"field": "beam_size", "message": "should be a valid integer"}]},
    }
}
