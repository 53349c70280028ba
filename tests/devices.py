"""Stand-ins for CUDA: the host's processor, used as if it were a device of its own.

Tensors are copied up and down, and graphs are run through bindings, by the very code that
serves on CUDA; what is copied is written down.
"""

from dataclasses import dataclass, field

from service.device import HOST, Array, Device, Tensor
from service.errors import StepFailed


@dataclass(frozen=True)
class StandIn(Device):
    """A device on the host; `failing` lets one download fail."""

    name: str = HOST.name
    providers: tuple[tuple[str, dict[str, str]], ...] = (("CPUExecutionProvider", {}),)
    floats: bool = False
    uploaded: list[Array] = field(default_factory=list)
    downloaded: list[Array] = field(default_factory=list)
    failing: list[str] = field(default_factory=list)

    def upload(self, array: Array) -> Tensor:
        self.uploaded.append(array)
        return super().upload(array)

    def download(self, tensor: Tensor) -> Array:
        if self.failing:
            raise StepFailed(self.failing.pop())
        array = super().download(tensor)
        self.downloaded.append(array)
        return array

    def copied(self) -> tuple[int, int]:
        """Return how many tensors went up and came down since this was last asked."""
        counts = len(self.uploaded), len(self.downloaded)
        self.uploaded.clear()
        self.downloaded.clear()
        return counts
