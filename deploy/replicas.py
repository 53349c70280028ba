"""The servers of a running compose project: who they are, and what they were given to do."""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass

STARTED = re.compile(rb"Started scope=.*'query_string': b'check=([0-9a-z-]+)'")
"""What Uvicorn logs, at the level `trace`, when it hands a request to the application."""


class DockerFailed(RuntimeError):
    """The command `docker` failed; it says why."""


@dataclass(frozen=True)
class Project:
    """A compose project, by name."""

    name: str

    async def servers(self, service: str) -> list[str]:
        """Return the ids of a service's running containers."""
        labels = (f"com.docker.compose.{kind}" for kind in ("project", "service"))
        filters = zip(labels, (self.name, service), strict=True)
        options = [f"--filter=label={label}={value}" for label, value in filters]
        return (await docker("ps", "--quiet", "--no-trunc", *options)).decode().split()


async def docker(*arguments: str) -> bytes:
    """Run `docker` and return all that it prints; raises `DockerFailed`."""
    process = await asyncio.create_subprocess_exec(
        "docker", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise DockerFailed(output.decode(errors="replace").strip())
    return output


async def started(server: str) -> Counter[str]:
    """Return how often a container's application was handed each request, dead or alive."""
    return starts(await docker("logs", server))


def starts(log: bytes) -> Counter[str]:
    """Return how often each request was started, from a log at the level `trace`."""
    return Counter(found.decode() for found in STARTED.findall(log))
