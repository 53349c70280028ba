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

_MODEL: Example = {"name": "en-fr", "version": "2026.11.22+4672bef9"}

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
        {"text": "Merci", "span": [0, 5], "score": -0.0845},
        {"text": ".", "span": [5, 6], "score": -0.1577},
        {"text": "", "span": [6, 6], "special": "</s>", "score": -0.1282},
    ],
    "words": [{"text": "Merci", "span": [0, 5]}, {"text": ".", "span": [5, 6]}],
}

_CROSS = [
    [0.9632, 0.0341, 0.0013, 0.0014],
    [0.0055, 0.0176, 0.9764, 0.0006],
    [0.0171, 0.0076, 0.0144, 0.961],
]
_ALIGNMENT = [[0.9975, 0.0025, 0.0001, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]

_LINKS: list[Example] = [
    {"source": 0, "target": 0, "score": 0.9975},
    {"source": 2, "target": 1, "score": 1.0},
]

TRANSLATED: Example = {
    "model": _MODEL,
    "translations": [
        {
            "text": "Merci.",
            "score": -0.1235,
            "sentences": [
                {
                    "source": _SOURCE,
                    "target": _TARGET,
                    "attention": _CROSS,
                    "alignment": _LINKS,
                    "score": -0.1235,
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
            "attention": _ALIGNMENT,
            "alignment": _LINKS,
            "pharaoh": "0-0 2-1",
            "score": -0.1235,
        }
    ],
}

DIAGNOSTICS: Example = {
    "attention": "alignment",
    "entropy": {
        "cross": {"words": [0.0201, 1.1389, 0.3478], "mean": 0.5023},
        "alignment": {"words": [0.0, 0.239, 0.1123], "mean": 0.1171},
    },
    "end_mass": {"cross": [0.0012, 0.0397, 0.001], "alignment": [0.0, 0.0003, 0.0]},
    "coverage": [
        {"received": 1.0356, "strongest": 1.0, "linked": True},
        {"received": 0.9508, "strongest": 0.9508, "linked": True},
        {"received": 0.0305, "strongest": 0.0236, "linked": False},
        {"received": 0.0052, "strongest": 0.0052, "linked": False},
        {"received": 0.9776, "strongest": 0.9763, "linked": True},
    ],
    "unattended": [2, 3],
    "unsourced": [],
    "repeated_focus": [],
    "evidence": {"omission": 0.7108, "hallucination": 0.0},
    "warnings": [
        {
            "code": "possible_omission",
            "message": 'Nothing in the target seems to translate "and", "dance".',
            "words": [2, 3],
            "spans": [[8, 11], [12, 17]],
        }
    ],
}

TIMING: Example = {
    "queue": 0.29,
    "encode": 6.29,
    "decode": 15.5,
    "total": 22.42,
    "steps": 12,
    "source_tokens": 11,
    "target_tokens": 12,
}

MODELS: list[Example] = [
    {
        **_MODEL,
        "source": "en",
        "target": "fr",
        "licence": "CC-BY-SA-4.0",
        "architecture": "2-layer bidirectional LSTM encoder, 2-layer GRU decoder, "
        "general attention, alignment head",
        "parameters": 12744064,
        "precision": "int8",
        "attention": ["cross", "alignment"],
        "heads": {"cross": 1, "alignment": 1},
        "alignment_from": "alignment",
        "link_rule": {"attention": "alignment", "rule": "mutual-best", "threshold": 0.4},
        "warn_from": {"omission": 0.299, "hallucination": 0.568},
        "limits": {"source_tokens": 400, "target_tokens": 800, "source_multiple": 4},
        "metrics": [{"set": "tatoeba.en-fr", "precision": "int8", "bleu": 40.23, "chrf": 60.22}],
    }
]

RELOADED: Example = {
    "added": [],
    "replaced": [{**_MODEL, "was": "2026.10.03+9c1f22d0"}],
    "removed": [],
    "kept": [{"name": "zh-en", "version": "2026.11.20+0d6be1a7"}],
}

LANGUAGES: list[Example] = [{"code": "en", "name": "English", "targets": ["fr"]}]

REFUSED: Example = {
    "error": {
        "code": "invalid_request",
        "message": "beam_size: should be a valid integer",
        "request_id": "5f0c6b9e7f6f4c0f9d5c8f1f7f0e6a3b",
        "detail": {"errors": [{"field": "beam_size", "message": "should be a valid integer"}]},
    }
}
