"""What the environment says about this machine; read once, never changed.

The model's own facts are in its manifest. Every variable is `INTERLINEA_` and the field's name.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    DirectoryPath,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "INTERLINEA_"

LogLevel = Literal["critical", "error", "warning", "info", "debug", "trace"]
LogFormat = Literal["text", "json"]
DeviceName = Literal["auto", "cpu", "cuda"]

ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
HOST = re.compile(r"(\*\.)?[a-z0-9._-]+|[0-9a-f:.]+")


class InvalidSettings(ValueError):
    """The environment holds values that cannot be used; one readable line for each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _listed(value: object) -> object:
    """`a, b` as a tuple of both."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _origin(value: str) -> str:
    if not ORIGIN.fullmatch(value):
        raise ValueError(
            f"{value!r} is not an origin, such as https://example.org or http://localhost:3000; "
            "each is named by itself, in lower case and without a path"
        )
    return value


def _host(value: str) -> str:
    name = value.lower().removeprefix("[").removesuffix("]")
    if not HOST.fullmatch(name):
        raise ValueError(f"{value!r} is not a host, such as example.org, *.example.org or ::1")
    return name


Origin = Annotated[str, AfterValidator(_origin)]
Host = Annotated[str, AfterValidator(_host)]


class Settings(BaseSettings):
    """How this machine serves; unknown and empty variables are ignored."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one."
    )
    bundles: DirectoryPath | None = Field(
        default=None,
        description="Folder whose sub-folders are bundles, served beside the embedded ones.",
    )
    models: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=(), description="Names of the bundles to serve; none listed: all that there are."
    )
    max_bundle_bytes: int = Field(
        default=2_147_483_648, ge=1, description="Most bytes of all files of a bundle together."
    )
    max_bundle_memory: int = Field(
        default=2_147_483_648,
        ge=1,
        description="Most bytes of memory that the trial of a bundle of others may take.",
    )
    reload: bool = Field(
        default=False,
        description="Allow reload without keys, for a server behind a trusted network.",
    )
    device: Annotated[DeviceName, BeforeValidator(_lower)] = Field(
        default="auto", description="Where bundles run; `auto` is CUDA where it works."
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Worker threads of each bundle; 0: one per usable core, up to 64; one on CUDA.",
    )
    slots: int = Field(
        default=32, ge=1, le=65536, description="Decoder rows that a worker holds at once."
    )
    batch_tokens: int = Field(
        default=4096, ge=1, description="Padded source tokens in one batch of a worker."
    )
    queue_sentences: int = Field(
        default=1024,
        ge=1,
        description="Sentences of a bundle waiting or running; from then on `queue_full`.",
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1, description="Largest request body, in bytes."
    )
    max_texts: int = Field(default=256, ge=1, description="Most texts, or pairs, in one request.")
    max_beam: int = Field(default=8, ge=1, description="Largest `beam_size`.")
    max_characters: int = Field(
        default=100_000, ge=1, description="Most characters of all texts of a request together."
    )
    max_tokens: int = Field(
        default=65_536, ge=1, description="Most tokens of all texts of a request together."
    )
    max_hypotheses: int = Field(
        default=4096,
        ge=1,
        description="Most decoder rows of a request: its sentences times `beam_size`.",
    )
    max_attention_bytes: int = Field(
        default=67_108_864,
        ge=1,
        description="Most bytes that the matrices of an answer are expected to take.",
    )
    max_connections: int = Field(
        default=512, ge=1, description="Open connections from which on requests are refused."
    )
    max_header_bytes: int = Field(
        default=65_536, ge=512, description="Largest address and headers of a request, in bytes."
    )
    header_seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="How long a client may take to send its headers.",
    )
    body_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="How long a client may take to send its body."
    )
    max_unread_bytes: int = Field(
        default=268_435_456,
        ge=1,
        description="Most bytes of answers that wait for readers; then the oldest is broken off.",
    )
    answer_seconds: float = Field(
        default=30.0,
        gt=0,
        le=3600,
        description="How long a client may take nothing of an answer that waits to be sent.",
    )
    keys: Path | None = Field(
        default=None,
        description="File of the keys; where there is one, who asks needs a key.",
    )
    metrics_need_key: bool = Field(
        default=False, description="Whether `/metrics` needs a key, an admin's."
    )
    hosts: Annotated[tuple[Host, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=(), description="Host names that are answered; none listed: every name."
    )
    cors_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_listed)] = Field(
        default=(), description="Origins whose pages may read answers in a browser."
    )
    timeout_seconds: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="Longest that a request may wait and be worked on together.",
    )
    grace_seconds: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="How long requests in flight may go on at shutdown, or on a replaced bundle.",
    )
    drain_seconds: float = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="How long to serve on, but say not to be ready, before a shutdown.",
    )
    log_level: Annotated[LogLevel, BeforeValidator(_lower)] = Field(
        default="info", description="Least severe messages to log."
    )
    log_format: Annotated[LogFormat, BeforeValidator(_lower)] = Field(
        default="text", description="How log lines are written."
    )
    access_log: bool = Field(
        default=False, description="Whether to log a line for each request, without its text."
    )
    log_texts: bool = Field(
        default=False,
        description="Whether log lines may hold the texts of requests; for debugging only.",
    )
    metrics: bool = Field(
        default=True, description="Whether `/metrics` answers, in the format of Prometheus."
    )
    tracing: bool = Field(
        default=False,
        description="Whether requests are traced with OpenTelemetry, as the OTEL_* variables say.",
    )
    gzip_bytes: int = Field(
        default=1024,
        ge=0,
        description="Smallest answer, in bytes, compressed for clients that ask.",
    )

    @field_validator("metrics_need_key")
    @classmethod
    def _where_there_are_keys(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("keys") is None:
            raise ValueError("there are no keys without INTERLINEA_KEYS")
        return value

    @field_validator("max_beam")
    @classmethod
    def _within_the_slots(cls, value: int, info: ValidationInfo) -> int:
        slots = info.data.get("slots", value)
        if value > slots:
            raise ValueError(f"a beam of {value} does not fit into INTERLINEA_SLOTS={slots}")
        return value


def read_settings(host: str | None = None, port: int | None = None) -> Settings:
    """Settings from the environment, where an argument that is given wins.

    Raises `InvalidSettings`, which names every variable that is wrong.
    """
    given: dict[str, Any] = {"host": host, "port": port}
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise InvalidSettings(_problems(error)) from None


def _problems(error: ValidationError) -> tuple[str, ...]:
    return tuple(
        f"{PREFIX}{str(found['loc'][0]).upper()}: {found['msg']}"
        for found in error.errors(include_url=False, include_input=False)
    )
