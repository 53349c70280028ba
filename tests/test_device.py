"""Device: which one serves, what lies on it, and how graphs run there; with a stand-in."""

import logging

import numpy as np
import onnxruntime
import pytest
from onnx import parser

from service import dequantise
from service.bundle import Bundle
from service.device import CUDA, HOST, PROBE, Session, find
from service.errors import BundleError, DamagedBundle, DeviceMissing, StepFailed
from tests.devices import StandIn

ONLY_HOST = ["CPUExecutionProvider"]
BOTH = ["CUDAExecutionProvider", "CPUExecutionProvider"]


def offer(patch: pytest.MonkeyPatch, providers: list[str]) -> None:
    patch.setattr(onnxruntime, "get_available_providers", lambda: providers)


def test_the_probe_is_what_it_says() -> None:
    text = '<ir_version: 10, opset_import: ["": 21]> probe (float[n] x) => (float[n] y)'
    assert parser.parse_model(text + " { y = Add (x, x) }").SerializeToString() == PROBE


def test_the_host_is_never_asked_to_prove_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, [])
    assert find("cpu") is HOST


def test_a_device_that_works_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    device = StandIn()
    assert find("auto", device) is device
    assert find("cuda", device) is device
    assert "serving on CUDA" in caplog.text


def test_without_cuda_the_host_serves_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    offer(monkeypatch, ONLY_HOST)
    assert find("auto") is HOST
    assert "serving on the CPU" in caplog.text


def test_cuda_that_was_asked_for_and_is_not_there_stops_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offer(monkeypatch, ONLY_HOST)
    with pytest.raises(DeviceMissing, match="extra `cuda` in place of onnxruntime") as caught:
        find("cuda")
    assert isinstance(caught.value, BundleError)  # which the command line says in one line


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.skipif(CUDA.providers[0][0] in onnxruntime.get_available_providers(), reason="CUDA")
def test_cuda_that_is_offered_and_does_not_load_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The runtime would go on on the host, and only warn."""
    offer(monkeypatch, BOTH)
    with pytest.raises(DeviceMissing, match="cannot be run on cuda"):
        find("cuda")
    assert find("auto") is HOST


def test_cuda_without_the_package_onnx_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dequantise, "find_spec", lambda _: None)
    assert find("auto", StandIn()) is HOST
    with pytest.raises(DeviceMissing, match="onnx"):
        find("cuda", StandIn())


def test_a_device_that_fails_at_work_is_not_there() -> None:
    with pytest.raises(DeviceMissing, match="out of order"):
        find("cuda", StandIn(failing=["out of order"]))


def test_what_was_uploaded_stays_as_it_was() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = HOST.upload(array)
    turned = HOST.upload(array.T)
    array[:] = 0
    assert (HOST.download(tensor) == [[0, 1, 2], [3, 4, 5]]).all()
    assert (HOST.download(turned) == [[0, 3], [1, 4], [2, 5]]).all()


def test_an_output_that_stays_can_be_the_next_input() -> None:
    session = Session(HOST, PROBE, "the probe")
    start = tensor = HOST.upload(np.ones(3, np.float32))
    for _ in range(3):
        out, kept = session.run_bound([], ["y"], {"x": tensor})
        assert out == {}
        tensor = kept["y"]
    assert (HOST.download(tensor) == 8).all()
    assert (HOST.download(start) == 1).all()
    out, _ = session.run_bound(["y"], [], {"x": tensor})
    assert (out["y"] == 16).all()


def test_a_run_that_fails_has_a_type() -> None:
    session = Session(HOST, PROBE, "the probe")
    wrong = HOST.upload(np.ones((2, 2), np.int64))
    with pytest.raises(StepFailed):
        session.run_bound(["y"], [], {"x": wrong})
    with pytest.raises(StepFailed):
        session.run(["y"], {"x": np.ones(2, np.int64)})


def test_a_file_that_is_no_graph_is_named() -> None:
    for device in (HOST, StandIn(floats=True)):
        with pytest.raises(DamagedBundle, match=r"decoder\.onnx cannot be"):
            device.open(b"no graph", "decoder.onnx")


def test_a_device_without_int8_gets_its_graphs_in_float32(toy_bundle: Bundle) -> None:
    content = toy_bundle.read("encoder.onnx")
    feeds = {"source": np.array([[5, 6, 3, 0]]), "lengths": np.array([3])}
    exact, floats = (
        device.open(content, "encoder.onnx").run(["memory"], feeds)["memory"]
        for device in (HOST, StandIn(floats=True))
    )
    assert 0 < np.abs(exact - floats).max() < 0.05
