"""What a server's log tells of the requests that it started."""

from deploy.replicas import starts

LINE = (
    "TRACE:    10.0.0.5:4 - ASGI [{number}] Started scope={{'type': 'http', 'headers': '<...>', "
    "'raw_path': b'/translate', 'query_string': b'check={name}'}}\n"
)


def test_every_start_is_counted_by_the_name_of_its_request() -> None:
    lines = [LINE.format(number=number, name=name) for number, name in enumerate(["a-1", "a-2"])]
    other = "TRACE:    10.0.0.5:4 - ASGI [9] Send {'type': 'http.response.body', 'check=a-1'}\n"
    log = "".join([*lines, other, lines[0]]).encode()
    assert starts(log) == {"a-1": 2, "a-2": 1}


def test_health_checks_are_not_counted() -> None:
    assert not starts(b"ASGI [1] Started scope={'path': '/health/ready', 'query_string': b''}\n")
