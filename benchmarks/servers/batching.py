"""Request-level batching: gather what waits, work it off as one batch, answer all at its end."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Work = Callable[[list[Item]], Awaitable[list[Result]]]


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, Result]):
    item: Item
    since: float
    answer: "asyncio.Future[Result]"


class Batcher(Generic[Item, Result]):
    """Lanes that each work on one batch at a time.

    A free lane takes the oldest items when `size` are waiting, or when the oldest has waited
    for `window` seconds; 0 takes at once whatever is there.
    """

    def __init__(self, lanes: Sequence[Work[Item, Result]], size: int, window: float) -> None:
        self._free = list(lanes)
        self._size = size
        self._window = window
        self._waiting: deque[_Waiting[Item, Result]] = deque()
        self._busy: set[asyncio.Task[None]] = set()

    async def run(self, items: Sequence[Item]) -> list[Result]:
        """Queue items, and return their results when the last of their batches is done."""
        loop = asyncio.get_running_loop()
        waiting = [
            _Waiting[Item, Result](item, loop.time(), loop.create_future()) for item in items
        ]
        self._waiting.extend(waiting)
        self._dispatch()
        return list(await asyncio.gather(*(one.answer for one in waiting)))

    def _dispatch(self) -> None:
        loop = asyncio.get_running_loop()
        while self._free and self._waiting:
            left = self._waiting[0].since + self._window - loop.time()
            if len(self._waiting) < self._size and left > 0:
                loop.call_later(left, self._dispatch)
                return
            batch = self._take()
            if batch:
                task = loop.create_task(self._work(self._free.pop(), batch))
                self._busy.add(task)
                task.add_done_callback(self._busy.discard)

    def _take(self) -> list[_Waiting[Item, Result]]:
        """Return the next batch, without those whose client has left."""
        batch: list[_Waiting[Item, Result]] = []
        while self._waiting and len(batch) < self._size:
            one = self._waiting.popleft()
            if not one.answer.done():
                batch.append(one)
        return batch

    async def _work(
        self, lane: Work[Item, Result], batch: Sequence[_Waiting[Item, Result]]
    ) -> None:
        try:
            results = await lane([one.item for one in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, every waiter hears of it
            for one in batch:
                if not one.answer.done():
                    one.answer.set_exception(error)
        else:
            for one, result in zip(batch, results, strict=True):
                if not one.answer.done():
                    one.answer.set_result(result)
        finally:
            self._free.append(lane)
            self._dispatch()
