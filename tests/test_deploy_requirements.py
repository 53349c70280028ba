"""What is installed into an image, as pyproject.toml has it."""

import tomllib
from pathlib import Path

import pytest

from deploy.requirements import installed, main, name_of, requirements

ROOT = Path(__file__).resolve().parent.parent

PROJECT = {
    "project": {
        "dependencies": ["numpy>=2", "onnxruntime>=1.31,<2", "uvicorn[standard]>=0.54"],
        "optional-dependencies": {
            "cuda": ["onnx>=1", "onnxruntime-gpu[cuda]>=1.31,<2"],
            "tracing": ["opentelemetry-sdk>=1"],
            "train": ["torch"],
        },
    }
}


def test_the_cpu_image_has_the_dependencies_and_what_traces() -> None:
    wanted = requirements(PROJECT, cuda=False)
    usual = ["numpy>=2", "onnxruntime>=1.31,<2", "uvicorn[standard]>=0.54"]
    assert wanted == [*usual, "opentelemetry-sdk>=1"]


def test_the_cuda_image_has_one_onnx_runtime_and_not_the_usual_one() -> None:
    wanted = requirements(PROJECT, cuda=True)
    assert wanted == [
        "numpy>=2",
        "uvicorn[standard]>=0.54",
        "opentelemetry-sdk>=1",
        "onnx>=1",
        "onnxruntime-gpu[cuda]>=1.31,<2",
    ]


@pytest.mark.parametrize("cuda", [False, True])
def test_of_this_project_there_is_one_onnx_runtime_and_no_torch(cuda: bool) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = [name_of(one) for one in requirements(project, cuda=cuda)]
    assert [name for name in names if name.startswith("onnxruntime")] == [
        "onnxruntime-gpu" if cuda else "onnxruntime"
    ]
    assert "torch" not in names
    assert "opentelemetry-sdk" in names


def test_names_are_normal() -> None:
    assert name_of("Foo_bar.baz[x]>=1; python_version > '3'") == "foo-bar-baz"


def test_it_prints_what_pyproject_asks_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    main([])
    assert any(line.startswith("onnxruntime>") for line in capsys.readouterr().out.splitlines())
    main(["--cuda"])
    assert "onnxruntime>" not in capsys.readouterr().out


def test_every_installed_package_is_told_with_version_and_licence() -> None:
    lines = list(installed())
    assert lines == sorted(lines, key=lambda line: line.split(" ")[0])
    numpy = next(line for line in lines if line.startswith("numpy "))
    assert "BSD" in numpy
