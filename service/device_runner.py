"""Runs a bundle's graphs on a device, with decoder state kept there; see `device_slots`.

Tokens go up and log-probabilities and attention rows come home at each step; memory and state
stay. Candidates are ranked on the host, where the log-probabilities are.
"""

from collections.abc import Callable, Sequence

import numpy as np

from service.device import HOST, Device
from service.device_slots import DeviceSlots
from service.manifest import Model
from service.runner import Runner, Stepped
from service.slots import AnySlots, Held


class DeviceRunner(Runner):
    """The encoder and decoder sessions of one bundle, on a device other than the host."""

    def __init__(self, read: Callable[[str], bytes], model: Model, device: Device) -> None:
        super().__init__(read, model, device)
        self._device = device
        self._stay = [state.output for state in model.state]
        self._come = [name for name in self._decoder_outputs if name not in self._stay]

    def slots(self, capacity: int) -> AnySlots:
        """Return slots for up to `capacity` decoder rows, on the device."""
        return DeviceSlots(capacity, self._device, self.model.growing)

    def step(self, tokens: Sequence[int], memory: Held, state: Held) -> Stepped:
        """Read one token a row, (B,), and say what may follow; raises `StepFailed`.

        Memory, state and the state that is returned are tensors on the device.
        """
        up = self._device.upload(np.array(tokens, np.int64))
        feeds = {"token": up, **memory, **state}
        out, kept = self._decoder.run_bound(self._come, self._stay, feeds)
        return self._stepped(out, kept)


def open_runner(read: Callable[[str], bytes], model: Model, device: Device = HOST) -> Runner:
    """Return the runner of a bundle on a device; raises `BundleError`."""
    return Runner(read, model) if device is HOST else DeviceRunner(read, model, device)
