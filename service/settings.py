"""What the environment says about this machine; read once, never changed.

The model's own facts are in its manifest. Every variable is `INTERLINEA_` and the field's name.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    DirectoryPath,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "INTERLINEA_"

LogLevel = Literal["critical", "error", "warning", "info", "debug", "trace"]
DeviceName = Literal["auto", "cpu", "cuda"]


class InvalidSettings(ValueError):
    """The environment holds values that cannot be used; one readable line for each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


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
    device: Annotated[DeviceName, BeforeValidator(_lower)] = Field(
        default="auto", description="Where bundles run; `auto` is CUDA where it works."
    )
    workers: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Worker threads of each bundle; 0 is one per usable core, or one on CUDA.",
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
        description="How long requests in flight may go on at shutdown.",
    )
    drain_seconds: float = Field(
        default=0.0,
        ge=0,
        le=3600,
        description="How long to go on serving after SIGTERM, no longer ready.",
    )
    log_level: Annotated[LogLevel, BeforeValidator(_lower)] = Field(
        default="info", description="Least severe messages to log."
    )
    gzip_bytes: int = Field(
        default=1024,
        ge=0,
        description="Smallest answer, in bytes, compressed for clients that ask.",
    )

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
