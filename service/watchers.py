"""Who watches the requests: metrics, the access log and traces, as the settings say."""

import asyncio
from typing import TYPE_CHECKING

from fastapi.telemetry import TelemetryConfig

from service.life import Life
from service.logs import AccessLog
from service.metrics import Metrics
from service.settings import InvalidSettings, Settings
from service.traffic import Traffic
from service.watching import Watcher

if TYPE_CHECKING:
    from service.tracing import Tracing

UNTOLD: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
"""FastAPI's own telemetry switched off: it would tell queries, and so texts."""


class Watchers:
    """All who watch the requests of an application; `metrics` is None where they are off."""

    def __init__(self, settings: Settings, life: Life) -> None:
        """Raises `InvalidSettings` where tracing cannot be had."""
        self._tracing = _tracing() if settings.tracing else None
        traffic = Traffic()
        self.metrics = Metrics(traffic, life) if settings.metrics else None
        logged = settings.access_log or settings.log_level in ("debug", "trace")
        self.all: list[Watcher] = [
            *([traffic] if settings.metrics else []),
            *([AccessLog(settings.log_texts)] if logged else []),
            *([self._tracing] if self._tracing else []),
        ]

    async def close(self) -> None:
        """Send what is left to tell."""
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)


def _tracing() -> "Tracing":
    try:
        from service.tracing import Tracing  # what it needs is an extra

        return Tracing.exporting()
    except ModuleNotFoundError as error:
        needed = "needs what `pip install 'interlinea[tracing]'` brings"
        raise InvalidSettings((f"INTERLINEA_TRACING: {needed}; {error}",)) from None
    except ValueError as error:
        wrong = f"an OTEL_* variable cannot be used; {error}"
        raise InvalidSettings((f"INTERLINEA_TRACING: {wrong}",)) from None
