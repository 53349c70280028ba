"""The document of the API, and whether the server does as it says."""

from typing import Any

import pytest

from tests.stress import openapi
from tests.stress.process import Process

ROUTES = ("POST /translate", "POST /align", "GET /align")
FACTS = ("GET /models", "POST /models/reload", "GET /languages", "GET /health/live")
EXAMPLES = 12


@pytest.fixture(scope="module")
def operations(server: Process) -> dict[str, Any]:
    return {operation.label: operation for operation in openapi.operations(server.port)}


def test_the_document_lists_every_route(operations: dict[str, Any]) -> None:
    assert operations.keys() == {*ROUTES, *FACTS, "GET /health/ready"}


@pytest.mark.parametrize("label", [*ROUTES, *FACTS, "GET /health/ready"])
def test_answers_are_as_the_document_says(operations: dict[str, Any], label: str) -> None:
    operation = operations[label]
    for mode in openapi.modes(operation):
        assert openapi.check(operation, mode, EXAMPLES).total() > 0
