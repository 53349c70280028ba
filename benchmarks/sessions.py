"""Bare ONNX Runtime sessions, for what is compared with `service.runner` or goes into it."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # the library reports its use otherwise
import onnxruntime

Array = NDArray[np.generic]


class Session:
    """A graph on the CPU."""

    def __init__(self, model: bytes, threads: int, profile: Path | None = None) -> None:
        """Load a graph; with a profile, `operators` tells later where its time went."""
        options = onnxruntime.SessionOptions()
        if profile is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile)
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        self.outputs = [node.name for node in self._session.get_outputs()]

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Return the named outputs."""
        values = self._session.run(list(outputs), dict(feeds))
        return dict(zip(outputs, values, strict=True))

    def bind(self, feeds: Mapping[str, Array]) -> "Bound":
        """Fix inputs, and the memory of the outputs, so that a call costs next to nothing."""
        made = self.run(self.outputs, feeds)
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        for name, array in made.items():
            binding.bind_ortvalue_output(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        return Bound(self._session, binding)

    def operators(self) -> dict[str, float]:
        """Return seconds by operator of all runs so far, from the runtime's own profile."""
        total: dict[str, float] = {}
        with Path(self._session.end_profiling()).open(encoding="utf-8") as stream:
            events = json.load(stream)
        for event in events:
            if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
                name = event["args"]["op_name"]
                total[name] = total.get(name, 0.0) + event["dur"] / 1e6
        return dict(sorted(total.items(), key=lambda pair: -pair[1]))


class Bound:
    """A session that is run again and again on the same inputs."""

    def __init__(
        self, session: onnxruntime.InferenceSession, binding: onnxruntime.IOBinding
    ) -> None:
        self._session, self._binding = session, binding

    def run(self) -> None:
        """Run once; the outputs overwrite the last ones."""
        self._session.run_with_iobinding(self._binding)
