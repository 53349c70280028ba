"""Every route against the document that the server gives of itself, by schemathesis."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode, checks

from service.keys import KeyStore, Terms

checks.load_all_checks()
RULES_ACROSS_FIELDS = checks.CHECKS.get_one("positive_data_acceptance")
"""No schema says that `n_best` is at most `beam_size`, or which pairs of languages there are."""

NOBODY: Mapping[str, str] = MappingProxyType({})


def callers(keys: Path) -> dict[str, dict[str, str]]:
    """Make a file of keys; return the headers of who has one, by who it is."""
    terms = {
        "an administrator": Terms(admin=True),
        "somebody who may do little": Terms(rate=2000, quota=5000),
    }
    with KeyStore(keys) as store:
        secrets = {who: store.create(who, one, 0.0).secret for who, one in terms.items()}
    known = {who: {"Authorization": f"Bearer {secret}"} for who, secret in secrets.items()}
    return {**known, "a stranger": {"Authorization": "Bearer il_nobody"}, "nobody": {}}


def operations(port: int) -> Iterator[Any]:
    """What the document lists: a method of a route each."""
    schema: Any = schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json")
    for found in schema.get_all_operations():
        yield found.ok()


def modes(operation: Any) -> list[GenerationMode]:
    """With what a route can be asked: what fits, and what does not if it takes anything."""
    takes = bool(operation.body) or bool(operation.query)
    return [GenerationMode.POSITIVE, *([GenerationMode.NEGATIVE] if takes else [])]


def check(
    operation: Any,
    mode: GenerationMode,
    examples: int,
    headers: Mapping[str, str] = NOBODY,
    turn: int = 0,
) -> Counter[int]:
    """Ask with examples that fit the document, or do not; return the statuses of the answers.

    Raises what schemathesis raises where a status, a type, a header or a body is not as the
    document says, where nonsense is accepted, or where the server fails.
    """
    statuses: Counter[int] = Counter()
    session = requests.Session()

    @seed(turn)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        response = case.call(session=session, headers=dict(headers))
        excluded = [RULES_ACROSS_FIELDS]
        if response.status_code == 504 and _hurries(case.body):
            excluded.append(checks.not_a_server_error)
        case.validate_response(response, excluded_checks=excluded)
        statuses[response.status_code] += 1

    try:
        one()
    finally:
        session.close()
    return statuses


def _hurries(body: object) -> bool:
    """Whether a request asks to be given up after some time, such as at once."""
    return isinstance(body, dict) and isinstance(body.get("timeout"), int | float)
