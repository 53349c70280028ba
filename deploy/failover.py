"""Kill a replica under load, stop another, and count: nothing lost but what the dead one held.

`python -m deploy.failover` needs the profile `scale` up, with the settings of
`deploy/failover.env`, so that every server logs what it starts. It sends requests through the
balancer without a pause, kills one replica (SIGKILL) after a third of them and stops another
(SIGTERM) after two thirds, then starts both again. Each request has a name of its own, and the
servers' logs tell who started it. It exits with 1 and says why unless

- every request that failed was under way when the replica was killed, and was started nowhere
  else;
- no request was started twice, and all others were answered with 200 and the right text;
- the killed replica held requests at the time, and the started ones are given work again;
- a stream comes event by event, and names of requests are kept or made.
"""

import argparse
import asyncio
import itertools
import os
import sys
import uuid
from collections import Counter
from dataclasses import dataclass, field

import httpx2

from deploy.replicas import DockerFailed, Project, docker, started

SENTENCES = (
    "The children are playing in the garden behind the old house near the river.",
    "I would like to know when the next train to the city leaves this morning.",
    "She told me yesterday that the weather would be fine for the whole week.",
    "We have to buy bread, milk and some apples before the shop closes tonight.",
)
TEXT = " ".join(SENTENCES * 3)
REPLICA = "replica"
SERVICES = (REPLICA, "interlinea")
PATIENCE = 300
STOPPING = 60


@dataclass
class Tally:
    """What became of each request, by its name: a status, 0 where no whole answer came.

    `held` are those under way while a replica was being killed, at whichever server; `codes` are
    those of the refusals.
    """

    statuses: dict[str, int] = field(default_factory=dict)
    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    under_way: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    killing: bool = False
    killed: str = ""
    ended: list[str] = field(default_factory=list)

    def failed(self) -> set[str]:
        """Names of the requests that were not answered with 200."""
        return {name for name, status in self.statuses.items() if status != 200}


def verdict(tally: Tally, by_server: dict[str, Counter[str]]) -> list[str]:
    """Return what is not as it must be, a line each; `by_server` is who started what."""
    total: Counter[str] = sum(by_server.values(), Counter())
    elsewhere = total - by_server[tally.killed]
    answered = tally.statuses.keys() - tally.failed()
    lost = by_server[tally.killed].keys() & tally.failed()
    faults = {
        "started more than once": {name for name, times in total.items() if times > 1},
        "failed, though started by a server that was not killed": tally.failed() & elsewhere.keys(),
        "failed, though no replica was killed meanwhile": tally.failed() - tally.held,
        "answered, though no server says that it started them": answered - total.keys(),
        "answered with another text": set(tally.wrong),
    }
    lines = [
        f"{len(names)} requests {what}: {sorted(names)[:3]}"
        for what, names in faults.items()
        if names
    ]
    if not lost:
        lines.append("the killed replica held nothing, so this proved nothing: send more at once")
    return lines


class Load:
    """Requests through the balancer, so many at once, from when it is entered until it is left."""

    def __init__(self, client: httpx2.AsyncClient, requests: int, at_once: int) -> None:
        self._client = client
        self._run = uuid.uuid4().hex[:8]
        self._names = (f"{self._run}-{number}" for number in range(requests))
        self._at_once = at_once
        self._expected = ""
        self._reached = {share: asyncio.Event() for share in (1, 2)}
        self._thirds = {share: requests * share // 3 for share in (1, 2)}
        self.tally = Tally()

    async def run(self) -> None:
        """Send everything; returns when all is answered."""
        self._expected = await self.translate("warm-up")
        async with asyncio.TaskGroup() as group:
            for _ in range(self._at_once):
                group.create_task(self._send())

    async def reached(self, third: int) -> None:
        """Return once so many thirds have been answered."""
        await self._reached[third].wait()

    async def translate(self, name: str) -> str:
        """Return the translation of the text; raises `HTTPStatusError` or another `HTTPError`."""
        body = {"text": TEXT, "source": "en", "target": "fr", "attention": "none"}
        response = await self._client.post(
            "/translate", params={"check": name}, json=body, headers={"X-Request-ID": name}
        )
        response.raise_for_status()
        assert response.headers["X-Request-ID"] == name, "the name of a request was lost"
        text: str = response.json()["translations"][0]["text"]
        return text

    async def _send(self) -> None:
        for name in self._names:
            self.tally.under_way.add(name)
            if self.tally.killing:
                self.tally.held.add(name)
            self.tally.statuses[name] = await self._status(name)
            self.tally.under_way.remove(name)
            for third, count in self._thirds.items():
                if len(self.tally.statuses) >= count:
                    self._reached[third].set()

    async def _status(self, name: str) -> int:
        try:
            if await self.translate(name) != self._expected:
                self.tally.wrong.append(name)
        except httpx2.HTTPStatusError as error:
            self._check_refusal(error.response, name)
            return error.response.status_code
        except httpx2.HTTPError:
            return 0
        return 200

    def _check_refusal(self, response: httpx2.Response, name: str) -> None:
        error = response.json()["error"]
        self.tally.codes[error["code"]] += 1
        if error["request_id"] != name:
            self.tally.wrong.append(name)


async def break_things(load: Load, project: Project) -> None:
    """Kill a replica after a third of the requests, and stop another after two thirds."""
    first, second = (await project.servers(REPLICA))[:2]
    await load.reached(1)
    load.tally.killed = first
    load.tally.held |= load.tally.under_way
    load.tally.killing = True  # which takes a moment, in which others begin and may be lost too
    await docker("kill", first)
    load.tally.killing = False
    print(f"killed {first[:12]} after {len(load.tally.statuses)} answers", flush=True)
    await load.reached(2)
    load.tally.ended = [first, second]
    await docker("stop", "-t", str(STOPPING), second)
    print(f"stopped {second[:12]} by {len(load.tally.statuses)} answers", flush=True)


async def come_back(load: Load, project: Project) -> None:
    """Start what was ended, and return once each of these is given work again."""
    await docker("start", *load.tally.ended)
    missing = set(load.tally.ended)
    async with asyncio.timeout(PATIENCE):
        for turn in itertools.count():
            names = [f"back-{turn}-{number}" for number in range(8)]
            await asyncio.gather(*(load.translate(name) for name in names))
            logs = {server: await started(server) for server in missing}
            missing = {server for server, log in logs.items() if not log.keys() & set(names)}
            if not missing:
                break
    print("both were started again and are given work", flush=True)


async def check_stream(client: httpx2.AsyncClient) -> None:
    """Events come one by one, and not all at the end."""
    async with client.stream(
        "POST",
        "/translate",
        json={"text": TEXT, "target": "fr"},
        headers={"Accept": "text/event-stream"},
    ) as response:
        pieces = [piece async for piece in response.aiter_raw()]
    assert len(pieces) > 10, f"a stream came in {len(pieces)} pieces"
    assert b"event: done" not in pieces[0], "a stream was held back"
    assert b"event: done" in b"".join(pieces[-20:]), "a stream was cut"
    assert len(response.headers["X-Request-ID"]) > 8, "a request was given no name"
    print(f"a stream came in {len(pieces)} pieces", flush=True)


async def check_what_is_hidden(client: httpx2.AsyncClient) -> None:
    """Figures are not for the public side."""
    for path in ("/metrics", "/%6detrics"):
        assert (await client.get(path)).status_code == 404, path
    assert (await client.get("/health/ready")).status_code == 200


async def main(url: str, requests: int, at_once: int, project: Project) -> list[str]:
    """Do all of it, and return what is wrong."""
    limits = httpx2.Limits(max_connections=at_once + 8)
    async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as client:
        await check_what_is_hidden(client)
        await check_stream(client)
        servers = [one for service in SERVICES for one in await project.servers(service)]
        load = Load(client, requests, at_once)
        await asyncio.gather(load.run(), break_things(load, project))
        by_server = {server: await started(server) for server in servers}
        report(load.tally, by_server)
        await come_back(load, project)
    named = {server: only(log, load.tally.statuses) for server, log in by_server.items()}
    return verdict(load.tally, named)


def only(log: Counter[str], names: dict[str, int]) -> Counter[str]:
    """The part of a log that speaks of these requests."""
    return Counter({name: times for name, times in log.items() if name in names})


def report(tally: Tally, by_server: dict[str, Counter[str]]) -> None:
    """Print what became of the requests, and who did how many."""
    print("answers by status:", dict(sorted(Counter(tally.statuses.values()).items())))
    print("refusals by code:", dict(tally.codes))
    for server, log in by_server.items():
        what = (
            "killed"
            if server == tally.killed
            else "stopped"
            if server in tally.ended
            else "left alone"
        )
        print(
            f"{server[:12]} ({what}) started {sum(only(log, tally.statuses).values())}", flush=True
        )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Kill a replica under load and count.")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the balancer")
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--at-once", type=int, default=24)
    parser.add_argument("--project", default=os.environ.get("COMPOSE_PROJECT_NAME", "interlinea"))
    return parser.parse_args()


if __name__ == "__main__":
    asked = arguments()
    try:
        wrong = asyncio.run(main(asked.url, asked.requests, asked.at_once, Project(asked.project)))
    except (AssertionError, DockerFailed, TimeoutError, httpx2.HTTPError) as error:
        wrong = [repr(error)]
    print(
        *wrong or ["nothing was lost but what the killed replica held; nothing was done twice"],
        sep="\n",
    )
    sys.exit(bool(wrong))
