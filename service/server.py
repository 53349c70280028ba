"""The process behind a port: Uvicorn, which on SIGTERM is drained before it ends."""

import signal
from types import FrameType

import uvicorn

from service.drain import Drain


class Server(uvicorn.Server):
    """Serves until SIGINT, or until SIGTERM and then as long as the drain takes."""

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the drain, or end: on SIGINT, on a second SIGTERM, and where there is no drain."""
        if sig == signal.SIGTERM and not self._drain.begun():
            self._drain.begin()
            if not self._drain.over():
                return
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: end once the drain is over."""
        if self._drain.over() and not self.should_exit:
            super().handle_exit(signal.SIGTERM, None)
        return await super().on_tick(counter)
