"""The part of NOTICE that speaks of the bundles, written from their manifests.

`python -m deploy.notice` renews it; run it when a bundle was sealed.
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOTICE = ROOT / "NOTICE"
BUNDLES = ROOT / "service" / "bundles"

MARK = "== Bundles ==\n"

CARD = """
A bundle is a work of its own, made from the data that is listed with it, and its own licence is
not that of the code. MODEL_CARD.md in its folder (service/bundles/<name>) says more: how much was
taken of each corpus, and what was measured.
"""


def manifests(bundles: Path = BUNDLES) -> list[dict[str, Any]]:
    """Return the manifests of the embedded bundles, by name."""
    found = sorted(bundles.glob("*/bundle.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def of_bundles(found: list[dict[str, Any]]) -> str:
    """Return what NOTICE has to say of bundles."""
    return MARK + CARD + "".join(f"\n{of_bundle(one)}" for one in found)


def of_bundle(manifest: dict[str, Any]) -> str:
    """Return a bundle's licence, and licence, author and address of each of its corpora."""
    pair = f"{manifest['source']['name']} to {manifest['target']['name']}"
    head = f"{manifest['name']}, {pair}: {manifest['licence']}\nTrained on:\n\n"
    lines = (
        f"  {one['corpus']}: {one['attribution']}\n    {one['licence']}; {one['url']}\n"
        for one in manifest["data"]
    )
    return head + "".join(dict.fromkeys(lines))  # a corpus may give pairs and texts


def renew(notice: str, found: list[dict[str, Any]]) -> str:
    """Return a notice whose part on bundles says what their manifests say now."""
    return notice[: notice.index(MARK)] + of_bundles(found)


if __name__ == "__main__":
    NOTICE.write_text(renew(NOTICE.read_text(encoding="utf-8"), manifests()), encoding="utf-8")
