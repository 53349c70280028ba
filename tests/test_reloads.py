"""The route that reloads bundles: who may, what it answers, and what goes on meanwhile."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service import examples
from service import shelf as rooms
from service.answers import ReloadAnswer
from service.app import create_app
from service.bundle import Bundle
from service.errors import UnsealedBundle
from service.keys import KeyStore, Terms
from service.settings import Settings
from tests.folders import edit, place
from tests.served import app_of
from tests.stand_ins import FakeCatalog
from tests.test_app import refused


@pytest.fixture
def catalog() -> FakeCatalog:
    return FakeCatalog()


def client_of(catalog: FakeCatalog, reload: bool) -> TestClient:
    return TestClient(app_of(catalog, Settings(reload=reload)))


def test_it_is_not_for_everybody(catalog: FakeCatalog) -> None:
    with client_of(catalog, reload=False) as client:
        refused(client.post("/models/reload"), 403, "forbidden")
    assert not catalog.reloading.is_set()


@pytest.mark.parametrize("reload", [False, True])
def test_where_there_are_keys_an_administrator_may(
    catalog: FakeCatalog, tmp_path: Path, reload: bool
) -> None:
    path = tmp_path / "keys.db"
    with KeyStore(path) as store:
        made = [store.create(name, Terms(admin=name == "boss"), 0.0) for name in ("app", "boss")]
    plain, admin = ({"Authorization": f"Bearer {one.secret}"} for one in made)
    settings = Settings(keys=path, reload=reload)
    with TestClient(app_of(catalog, settings)) as client:
        refused(client.post("/models/reload"), 401, "unauthorized")
        refused(client.post("/models/reload", headers=plain), 403, "forbidden")
        assert client.post("/models/reload", headers=admin).status_code == 200


def test_the_answer_tells_what_became_of_each_bundle(catalog: FakeCatalog) -> None:
    catalog.following = FakeCatalog()
    with client_of(catalog, reload=True) as client:
        answer = client.post("/models/reload").json()
        ReloadAnswer.model_validate(answer)
        assert answer["replaced"] == [{"name": "en-fr", "version": "1.2.3", "was": "1.2.3"}]
        again = client.post("/models/reload").json()
        assert again["kept"] == [{"name": "en-fr", "version": "1.2.3"}]
    ReloadAnswer.model_validate(examples.RELOADED)


def test_a_bad_bundle_is_a_refusal_that_names_it(catalog: FakeCatalog) -> None:
    catalog.following = UnsealedBundle("zh-en has no manifest", {"bundle": "zh-en"})
    with client_of(catalog, reload=True) as client:
        response = client.post("/models/reload")
        assert refused(response, 500, "unsealed_bundle") == {"bundle": "zh-en"}
        assert client.get("/health/ready").status_code == 200
        assert client.post("/translate", json={"text": "Thanks"}).status_code == 200


def test_it_takes_only_post(catalog: FakeCatalog) -> None:
    with client_of(catalog, reload=True) as client:
        refused(client.get("/models/reload"), 405, "method_not_allowed")


@pytest.fixture
def root(toy_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place(toy_bundle, tmp_path)
    monkeypatch.setattr(rooms, "EMBEDDED", tmp_path)
    return tmp_path


@pytest.fixture
def client(root: Path) -> Iterator[TestClient]:
    settings = Settings(reload=True, workers=1, slots=8, device="cpu")
    with TestClient(create_app(settings)) as client:
        yield client


def model(client: TestClient) -> Any:
    response = client.post("/translate", json={"text": "The cat sees the dog."})
    assert response.status_code == 200, response.text
    return response.json()["model"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"bad\xff\xfename", "bad??name"), ("té\x1b[1m\x7f".encode(), "té?[1m?")],
)
def test_a_name_that_cannot_be_shown_is_refused_as_well_as_it_can_be(
    client: TestClient, root: Path, name: bytes, shown: str
) -> None:
    (root / os.fsdecode(name)).mkdir()
    response = client.post("/models/reload")
    assert refused(response, 500, "unsealed_bundle") == {"bundle": shown}
    assert response.json()["error"]["message"].startswith(f"{shown} has no bundle.json: ")
    assert model(client)["name"] == "en-fr"


def test_folders_are_swapped_for_real(client: TestClient, root: Path, toy_bundle: Bundle) -> None:
    assert model(client) == {"name": "en-fr", "version": "1"}
    place(toy_bundle, root, version="2")
    place(toy_bundle, root, "fr-en", ("fr", "en"))
    answer = client.post("/models/reload").json()
    assert answer == {
        "added": [{"name": "fr-en", "version": "1"}],
        "replaced": [{"name": "en-fr", "version": "2", "was": "1"}],
        "removed": [],
        "kept": [],
    }
    assert [one["code"] for one in client.get("/languages").json()] == ["en", "fr"]
    edit(root / "fr-en", lambda data: data["files"].pop())
    edit(root / "fr-en", lambda data: data["files"].pop())
    response = client.post("/models/reload")
    assert refused(response, 500, "damaged_bundle") == {"bundle": "fr-en"}
    asked = {"text": "The cat sees the dog.", "source": "en", "target": "fr"}
    assert client.post("/translate", json=asked).json()["model"]["version"] == "2"
    assert len(client.get("/models").json()) == 2


def test_requests_that_come_all_the_time_never_notice(root: Path, toy_bundle: Bundle) -> None:
    """Each gets one version for the whole of it, also where two translators are asked."""
    place(toy_bundle, root, "fr-en", ("fr", "en"))
    settings = Settings(reload=True, workers=1, slots=8, device="cpu")
    app = create_app(settings)
    body = {
        "pairs": [{"source_text": "The cat sees the dog.", "target_text": "Le chat voit."}],
        "source": "en",
        "target": "fr",
        "symmetrize": "union",
    }
    seen: set[tuple[str, str]] = set()
    with TestClient(app) as client:
        assert client.portal is not None

        def align() -> None:
            answer = client.post("/align", json=body)
            assert answer.status_code == 200, answer.text
            found = answer.json()
            seen.add((found["model"]["version"], found["reverse_model"]["version"]))

        async def all_the_time(over: asyncio.Event) -> None:
            while not over.is_set():
                await asyncio.to_thread(align)

        async def scenario() -> None:
            over = asyncio.Event()
            clients = [asyncio.create_task(all_the_time(over)) for _ in range(4)]
            for version in ("2", "3"):
                place(toy_bundle, root, "en-fr", version=version)
                place(toy_bundle, root, "fr-en", ("fr", "en"), version=version)
                response = await asyncio.to_thread(client.post, "/models/reload")
                assert len(response.json()["replaced"]) == 2, response.text
            over.set()
            await asyncio.gather(*clients)

        asyncio.run(scenario())
        align()
    assert seen <= {("1", "1"), ("2", "2"), ("3", "3")}
    assert ("3", "3") in seen
