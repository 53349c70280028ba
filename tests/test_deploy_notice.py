"""NOTICE names what the image holds: every dependency, and all that the bundles were made of."""

import json
import re
import tomllib
from pathlib import Path

from deploy.notice import NOTICE, manifests, of_bundles, renew
from deploy.requirements import name_of

ROOT = Path(__file__).resolve().parent.parent

MANIFEST = {
    "name": "en-xx",
    "licence": "CC0-1.0",
    "source": {"name": "English"},
    "target": {"name": "Elvish"},
    "data": [
        {"corpus": "lays", "attribution": "J. Doe", "licence": "CC BY 4.0", "url": "https://lays"}
    ]
    * 2,
}


def test_a_bundle_is_told_with_its_licence_and_its_data() -> None:
    told = of_bundles([MANIFEST])
    assert "en-xx, English to Elvish: CC0-1.0\nTrained on:\n" in told
    assert told.count("  lays: J. Doe\n    CC BY 4.0; https://lays\n") == 1


def test_renewing_leaves_the_rest_alone() -> None:
    notice = "Software\n== Bundles ==\nold"
    assert renew(notice, [MANIFEST]) == "Software\n" + of_bundles([MANIFEST])


def test_manifests_are_found_by_name(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bundle.json").write_text(json.dumps({"name": name}), encoding="utf-8")
    (tmp_path / "unsealed").mkdir()
    assert [one["name"] for one in manifests(tmp_path)] == ["a", "b"]


def test_the_notice_is_of_the_embedded_bundles() -> None:
    notice, found = NOTICE.read_text(encoding="utf-8"), manifests()
    assert found
    assert notice == renew(notice, found), "run: python -m deploy.notice"


def test_the_notice_names_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = set(re.findall(r"[a-z0-9-]+", NOTICE.read_text(encoding="utf-8")))
    held = [*project["dependencies"], *extras["tracing"], *extras["cuda"]]
    missing = {name_of(one) for one in held} - named
    assert not missing


def test_the_image_tells_the_licences_of_code_and_bundles() -> None:
    found = re.search(r'image\.licenses="([^"]+)"', (ROOT / "Dockerfile").read_text("utf-8"))
    assert found is not None
    told = set(found[1].split(" AND "))
    assert told == {"Apache-2.0", *(one["licence"] for one in manifests())}
