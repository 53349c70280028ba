"""Where graphs run, and where tensors lie: the host's processor, or CUDA.

The only importer of ONNX Runtime. `find` says once, at the start, which device serves; a
`Session` is a graph on a device, run on arrays, or on tensors that stay where they are.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from service import dequantise
from service.errors import DamagedBundle, DeviceMissing, StepFailed
from service.external_data import check_self_contained
from service.patience import Patience

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # the library reports its use otherwise
import onnxruntime

Array = NDArray[np.generic]

PROBE = (  # opset 21: probe (float[n] x) => (float[n] y) { y = Add (x, x) }
    b'\x08\n:=\n\x10\n\x01x\n\x01x\x12\x01y"\x03Add:\x00\x12\x05probeZ\x10\n\x01x\x12\x0b\n\t'
    b"\x08\x01\x12\x05\n\x03\x12\x01nb\x10\n\x01y\x12\x0b\n\t\x08\x01\x12\x05\n\x03\x12\x01nB\x04\n\x00\x10\x15"
)
"""The bytes of a small graph, for asking a device whether it works."""

PATIENCE = Patience(60.0)
"""How long a graph may take to load or to run: far longer than any that serves, on any machine."""

SILENT = 4
"""The runtime's level for lines that only it would write: whatever fails is raised as well."""

log = logging.getLogger("interlinea.device")


class Tensor(Protocol):
    """A tensor on a device; `Device.download` brings it home."""

    def numpy(self) -> Array:
        """Return what it holds, on the host."""
        ...


@dataclass(frozen=True)
class Device:
    """A place for graphs and tensors.

    `name` is the runtime's word for where tensors lie; its `providers` run the graphs, the
    first where it can. `floats` says that it has no kernel for the int8 products, so that
    graphs are dequantised when they are loaded.
    """

    name: str
    providers: tuple[tuple[str, Mapping[str, str]], ...]
    floats: bool

    def upload(self, array: Array) -> Tensor:
        """Return a copy of an array that lies here; raises `StepFailed`."""
        if self.name == HOST.name:
            array = array.copy()  # the runtime only borrows what lies on the host
        try:
            tensor: Tensor = onnxruntime.OrtValue.ortvalue_from_numpy(
                np.ascontiguousarray(array), self.name, 0
            )
        except Exception as error:  # the library raises bare types of its own
            raise StepFailed(f"the model failed: {error}") from error
        return tensor

    def download(self, tensor: Tensor) -> Array:
        """Return what a tensor that lies here holds, not to be written to; raises `StepFailed`."""
        try:
            return tensor.numpy()
        except Exception as error:  # the library raises bare types of its own
            raise StepFailed(f"the model failed: {error}") from error

    def open(self, content: bytes, name: str) -> "Session":
        """Load a graph from the bytes of a file; raises `DamagedBundle` or `DeviceMissing`."""
        check_self_contained(content, name)
        if self.floats:
            content = dequantise.in_float32(content, name)
        return Session(self, content, name)


@dataclass(frozen=True, slots=True)
class Port:
    """A tensor that a graph takes or gives; of its axes, a size is an int and all else open."""

    name: str
    type: str
    shape: tuple[object, ...]


class Session:
    """A graph on a device; threads may share it, for it runs outside the interpreter lock."""

    def __init__(self, device: Device, graph: bytes, name: str) -> None:
        self._device = device
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the workers are the threads
        options.inter_op_num_threads = 1
        options.log_severity_level = SILENT
        options.add_session_config_entry("session.load_model_format", "ONNX")  # never guessed
        try:
            with PATIENCE.bounded(partial(options.set_load_cancellation_flag, True)):
                self._session: Any = onnxruntime.InferenceSession(
                    graph,
                    options,
                    providers=[(provider, dict(more)) for provider, more in device.providers],
                    enable_fallback=0,  # or it would go on on the host, saying nothing
                )
        except Exception as error:  # the library raises bare types of its own
            raise DamagedBundle(f"{name} cannot be loaded: {error}") from error
        if device.providers[0][0] not in self._session.get_providers():
            raise DeviceMissing(f"{name} cannot be run on {device.name}: {CUDA_NEEDS}")

    def types(self, said: str) -> tuple[str, ...]:
        """Return what a tensor of a type in the manifest may be here, in the runtime's words."""
        spelled = ("tensor(float)",) if self._device.floats and said == "uint8" else ()
        return (f"tensor({said})", *spelled)

    def inputs(self) -> list["Port"]:
        """Return what goes in."""
        return [Port(one.name, one.type, tuple(one.shape)) for one in self._session.get_inputs()]

    def outputs(self) -> list["Port"]:
        """Return what comes out."""
        return [Port(one.name, one.type, tuple(one.shape)) for one in self._session.get_outputs()]

    def run(self, outputs: list[str], feeds: Mapping[str, Array]) -> dict[str, Any]:
        """Run on arrays of the host and return arrays of the host; raises `StepFailed`."""
        with self._running() as options:
            values = self._session.run(outputs, dict(feeds), options)
        return dict(zip(outputs, values, strict=True))

    def run_bound(
        self, come: Sequence[str], stay: Sequence[str], feeds: Mapping[str, Tensor]
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Run on tensors of the device; raises `StepFailed`.

        Outputs that `come` are arrays of the host, those that `stay` are left on the device.
        The binding is made anew for each run: one used again would write over the outputs of
        the last, which are the inputs of this.
        """
        with self._running() as options:
            binding = self._session.io_binding()
            for name, tensor in feeds.items():
                binding.bind_ortvalue_input(name, tensor)
            for name in come:
                binding.bind_output(name, HOST.name, 0)
            for name in stay:
                binding.bind_output(name, self._device.name, 0)
            binding.synchronize_inputs()
            self._session.run_with_iobinding(binding, options)
            binding.synchronize_outputs()
            values = binding.get_outputs()
            arrays = [value.numpy() for value in values[: len(come)]]
        kept = dict(zip(stay, values[len(come) :], strict=True))
        return dict(zip(come, arrays, strict=True)), kept

    @contextmanager
    def _running(self) -> Iterator[Any]:
        """Give the options of a run that ends some time; raises `StepFailed` if it fails."""
        options = onnxruntime.RunOptions()
        options.log_severity_level = SILENT
        try:
            with PATIENCE.bounded(partial(setattr, options, "terminate", True)):
                yield options
        except Exception as error:  # the library raises bare types of its own
            why = "a graph did not come to an end" if options.terminate else error
            raise StepFailed(f"the model failed: {why}") from error


HOST = Device("cpu", (("CPUExecutionProvider", {}),), floats=False)

CUDA = Device(
    "cuda",
    (
        (
            "CUDAExecutionProvider",
            {
                "device_id": "0",
                "arena_extend_strategy": "kSameAsRequested",
                "use_tf32": "0",  # or products would keep 10 bits of a float32's 23
            },
        ),
        ("CPUExecutionProvider", {}),  # for what CUDA has no kernel for, such as shapes
    ),
    floats=True,
)

CUDA_NEEDS = (
    "CUDA needs an NVIDIA driver and Interlinea's extra `cuda` in place of onnxruntime; "
    "docs/operations.md says how to install it"
)


def find(asked: Literal["auto", "cpu", "cuda"], cuda: Device = CUDA) -> Device:
    """Return the device to serve on; "auto" is CUDA where it works.

    Raises `DeviceMissing` if CUDA was asked for and does not work.
    """
    if asked == "cpu":
        return HOST
    try:
        _prove(cuda)
    except DeviceMissing as missing:
        if asked == "cuda":
            raise
        log.info("serving on the CPU: %s", missing.message)
        return HOST
    log.info("serving on CUDA")
    return cuda


def _prove(device: Device) -> None:
    """Run a small graph on a device; raises `DeviceMissing` where that fails."""
    provider = device.providers[0][0]
    if provider not in onnxruntime.get_available_providers():
        raise DeviceMissing(f"this ONNX Runtime has no {provider}: {CUDA_NEEDS}")
    dequantise.check_installed()
    onnxruntime.preload_dlls()  # CUDA's libraries, where they came as Python packages
    ones = np.ones(2, np.float32)
    try:
        session = Session(device, PROBE, "the probe")
        _, kept = session.run_bound([], ["y"], {"x": device.upload(ones)})
        sums = device.download(kept["y"])
    except (DamagedBundle, StepFailed) as error:
        reason = " ".join(error.message.split())  # in one line
        raise DeviceMissing(f"{provider} does not work: {reason}; {CUDA_NEEDS}") from error
    if not (sums == ones + ones).all():
        raise DeviceMissing(f"{provider} gives wrong numbers; {CUDA_NEEDS}")
