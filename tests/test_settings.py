"""Settings: defaults, the environment, and readable complaints."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import PREFIX, InvalidSettings, Settings, read_settings


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


def test_defaults() -> None:
    assert read_settings().model_dump() == {
        "host": "127.0.0.1",
        "port": 8000,
        "bundles": None,
        "models": (),
        "max_bundle_bytes": 2_147_483_648,
        "max_bundle_memory": 2_147_483_648,
        "reload": False,
        "device": "auto",
        "workers": 0,
        "slots": 32,
        "batch_tokens": 4096,
        "queue_sentences": 1024,
        "max_body_bytes": 1_048_576,
        "max_texts": 256,
        "max_beam": 8,
        "max_characters": 100_000,
        "max_tokens": 65_536,
        "max_hypotheses": 4096,
        "max_attention_bytes": 67_108_864,
        "max_connections": 512,
        "max_header_bytes": 65_536,
        "header_seconds": 10.0,
        "body_seconds": 30.0,
        "max_unread_bytes": 268_435_456,
        "answer_seconds": 30.0,
        "keys": None,
        "metrics_need_key": False,
        "hosts": (),
        "cors_origins": (),
        "timeout_seconds": 60.0,
        "grace_seconds": 10.0,
        "drain_seconds": 0.0,
        "log_level": "info",
        "log_format": "text",
        "access_log": False,
        "log_texts": False,
        "metrics": True,
        "tracing": False,
        "gzip_bytes": 1024,
    }


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTERLINEA_PORT", "9000")
    monkeypatch.setenv("INTERLINEA_BUNDLES", str(tmp_path))
    monkeypatch.setenv("INTERLINEA_LOG_LEVEL", "WARNING")
    monkeypatch.setenv("INTERLINEA_DEVICE", "CUDA")
    monkeypatch.setenv("INTERLINEA_SLOTS", "")
    monkeypatch.setenv("INTERLINEA_UNHEARD_OF", "1")
    settings = read_settings()
    assert (settings.port, settings.bundles, settings.log_level) == (9000, tmp_path, "warning")
    assert settings.slots == 32
    assert settings.device == "cuda"


def test_an_argument_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLINEA_PORT", "not a port")
    settings = read_settings("0.0.0.0", 0)
    assert (settings.host, settings.port) == ("0.0.0.0", 0)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("BUNDLES", "no/such/folder"),
        ("DEVICE", "tpu"),
        ("WORKERS", "-1"),
        ("SLOTS", "0"),
        ("GRACE_SECONDS", "nan"),
        ("GRACE_SECONDS", "inf"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("METRICS", "perhaps"),
        ("MAX_BEAM", "1.5"),
        ("MAX_HEADER_BYTES", "100"),
        ("BODY_SECONDS", "0"),
        ("METRICS_NEED_KEY", "true"),
        ("HOSTS", "example.org, https://example.net"),
        ("HOSTS", "example.*"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "example.org"),
        ("CORS_ORIGINS", "https://example.org/"),
        ("CORS_ORIGINS", "https://Example.org"),
        ("CORS_ORIGINS", "https://*.example.org"),
        ("CORS_ORIGINS", "https://a.org, ftp://b.org"),
    ],
)
def test_a_bad_variable_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(PREFIX + variable, value)
    with pytest.raises(InvalidSettings) as caught:
        read_settings()
    (problem,) = caught.value.problems
    assert problem.startswith(f"INTERLINEA_{variable}: ")
    assert "\n" not in problem


def test_all_bad_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLINEA_SLOTS", "many")
    monkeypatch.setenv("INTERLINEA_MAX_BEAM", "0")
    with pytest.raises(InvalidSettings) as caught:
        read_settings()
    assert len(caught.value.problems) == 2


def test_settings_stay_as_they_are() -> None:
    with pytest.raises(ValidationError):
        setattr(Settings(), "port", 1)  # noqa: B010 - the type checker would see an assignment


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_lists_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLINEA_HOSTS", "Example.org, *.example.net,[::1],")
    monkeypatch.setenv("INTERLINEA_CORS_ORIGINS", "https://a.org, http://[::1]:3000")
    settings = read_settings()
    assert settings.hosts == ("example.org", "*.example.net", "::1")
    assert settings.cors_origins == ("https://a.org", "http://[::1]:3000")


def test_metrics_can_need_a_key_where_there_are_keys(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INTERLINEA_KEYS", str(tmp_path / "keys.db"))
    monkeypatch.setenv("INTERLINEA_METRICS_NEED_KEY", "true")
    settings = read_settings()
    assert (settings.keys, settings.metrics_need_key) == (tmp_path / "keys.db", True)


def test_a_beam_must_fit_into_the_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERLINEA_SLOTS", "4")
    with pytest.raises(InvalidSettings, match=r"INTERLINEA_MAX_BEAM: .*INTERLINEA_SLOTS=4"):
        read_settings()
