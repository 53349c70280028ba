"""docker-compose.yml and the balancer: every service hardened alike, pinned, and off by default."""

import re
import shutil
import subprocess
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.manifest import MANIFEST
from service.settings import Settings
from service.shelf import EMBEDDED, MOST_WORKERS

ROOT = Path(__file__).resolve().parent.parent

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, one in SERVICES.items() if "build" in one]
BALANCER = (ROOT / "deploy" / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")
OWN = dict(
    line.split("=", 1)
    for line in (ROOT / "deploy" / "server.env").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def directives(name: str) -> list[str]:
    """The balancer's lines that begin with a word, less that word."""
    found = re.findall(rf"^ *{re.escape(name)} +(.*?) *(?:#.*)?$", BALANCER, re.MULTILINE)
    assert found, f"the balancer says nothing of {name}"
    return found


def given(value: str) -> str:
    """What a variable of the host is where nobody sets it."""
    found = re.fullmatch(r"\$\{\w+:-(.*)\}", value)
    assert found, f"{value} has no default"
    return found[1]


def seconds(time: str) -> float:
    assert time.endswith("s")
    return float(time.removesuffix("s"))


def release() -> str:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version: str = project["project"]["version"]
    return version


def test_one_service_starts_by_default_and_each_profile_has_its_own() -> None:
    profiles = {name: one.get("profiles", []) for name, one in SERVICES.items()}
    assert profiles == {
        "interlinea": [],
        "replica": ["scale"],
        "balancer": ["scale"],
        "gpu": ["gpu"],
        "prometheus": ["monitoring"],
        "grafana": ["monitoring"],
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name: str) -> None:
    one = SERVICES[name]
    assert one["read_only"] is True
    assert one["cap_drop"] == ["ALL"]
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc"} & one.keys()
    assert one["mem_limit"]
    assert one["pids_limit"]
    assert one["restart"] == "unless-stopped"
    assert {"max-size", "max-file"} <= one["logging"]["options"].keys()
    assert not [mount for mount in one["volumes"] if "docker.sock" in mount]
    for mount in one["tmpfs"]:
        assert {"noexec", "nosuid", "nodev"} <= set(mount.split(":")[1].split(","))
        assert re.search(r"size=\d+m", mount), f"{mount} may grow without bound"


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in OURS])
def test_foreign_images_are_pinned_and_run_without_root(name: str) -> None:
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+(-alpine)?", image)
    assert not SERVICES[name]["user"].startswith("0")
    assert "healthcheck" in SERVICES[name]


@pytest.mark.parametrize("name", OURS)
def test_own_images_carry_the_release(name: str) -> None:
    one = SERVICES[name]
    target = one["build"]["target"]
    assert one["image"] == f"interlinea:{release()}" + ("-cuda" if target == "cuda" else "")
    assert one["build"]["args"]["VERSION"] == release()
    assert f" AS {target}\n" in DOCKERFILE


def test_the_dockerfile_runs_without_root_on_one_pinned_base() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE))
    assert set(bases) - stages == {"python:3.11-slim-bookworm"}
    assert "\nUSER 10001:10001\n" in DOCKERFILE
    assert "/health/ready" in DOCKERFILE
    assert not re.search(r"apt-get|apk add|build-essential|\bgcc\b", DOCKERFILE)
    assert DOCKERFILE.rindex("FROM runtime AS cpu") > DOCKERFILE.rindex("FROM runtime AS cuda")


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_monitoring_is_for_the_host_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name]["ports"])


def test_figures_and_replicas_are_on_the_inner_network() -> None:
    assert COMPOSE["networks"]["back"] == {"internal": True}
    assert SERVICES["replica"]["networks"].keys() == {"back"}
    assert "ports" not in SERVICES["replica"]
    assert SERVICES["balancer"]["ports"] == ["${PUBLISH_BALANCED:-8080}:8080"]


def test_what_is_mounted_is_there() -> None:
    mounted = [mount for one in SERVICES.values() for mount in one["volumes"]]
    folders = [mount.split(":")[0] for mount in mounted if mount.startswith("./")]
    assert folders
    assert all((ROOT / folder).is_dir() for folder in folders)
    named = {mount.split(":")[0] for mount in mounted if re.match(r"\w", mount)}
    assert named <= COMPOSE["volumes"].keys()


def test_every_variable_of_the_host_is_documented() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    variables = set(re.findall(r"\$\{(\w+)", text))
    docs = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert not {name for name in variables if f"`{name}`" not in docs}


def test_the_balancer_never_sends_a_request_twice() -> None:
    assert directives("retry-on") == ["conn-failure"]
    assert directives("http-reuse") == ["never"]
    assert "http-server-close" in directives("option")
    assert "redispatch 1" in directives("option")
    assert "leastconn" in directives("balance")


def test_the_balancer_asks_whether_servers_are_ready_and_finds_them_by_name() -> None:
    assert any("uri /health/ready " in line for line in directives("http-check send"))
    (template,) = directives("server-template")
    alias, port = template.split()[2].split(":")
    assert port == "8000"
    for name in ("interlinea", "replica"):
        assert SERVICES[name]["networks"]["back"]["aliases"] == [alias]


def test_the_balancer_waits_longer_than_a_request_may_take() -> None:
    longest = Settings.model_fields["timeout_seconds"].default
    for side in ("client", "server"):
        (time,) = directives(f"timeout {side}")
        assert seconds(time) > longest
    (hard,) = directives("hard-stop-after")
    assert longest < seconds(hard) < seconds(SERVICES["balancer"]["stop_grace_period"])


def test_nothing_of_the_balancer_is_published_but_the_service() -> None:
    assert not re.search(r"^ *stats (enable|uri)", BALANCER, re.MULTILINE)
    assert directives("bind") == [":8080", ":8404"]
    assert directives("stats socket") == ["/tmp/admin.sock mode 600 level admin"]


@pytest.mark.parametrize("name", OURS)
def test_servers_are_given_the_time_to_end(name: str) -> None:
    drain = float(OWN["INTERLINEA_DRAIN_SECONDS"])
    grace = Settings.model_fields["grace_seconds"].default
    last = 15  # as docs/operations.md says
    assert seconds(given(SERVICES[name]["stop_grace_period"])) > drain + grace + last


@pytest.mark.parametrize("name", OURS)
def test_servers_have_threads_for_all_workers_while_bundles_are_replaced(name: str) -> None:
    bundles = [one for one in EMBEDDED.iterdir() if (one / MANIFEST).exists()]
    assert int(given(SERVICES[name]["pids_limit"])) >= 2 * 2 * MOST_WORKERS * len(bundles)


@pytest.mark.parametrize("name", OURS)
def test_settings_of_the_file_win_but_for_what_the_container_is_built_around(name: str) -> None:
    ours, theirs = SERVICES[name]["env_file"]
    assert ours == {"path": "deploy/server.env"}
    assert theirs == {"path": "${SETTINGS:-interlinea.env}", "required": False}
    fixed = SERVICES[name]["environment"]
    device = {"INTERLINEA_DEVICE"} if name == "gpu" else set()
    assert fixed.keys() - device == {f"INTERLINEA_{one}" for one in ("BUNDLES", "HOST", "PORT")}
    assert f"{fixed['INTERLINEA_BUNDLES']}:ro" in SERVICES[name]["volumes"][0]
    for port in SERVICES[name].get("ports", []):
        assert port.endswith(f":{fixed['INTERLINEA_PORT']}")
    documented = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    assert not [setting for setting in (*fixed, *OWN) if f"`{setting}" not in documented]


def test_the_balancer_sends_a_server_as_much_as_its_setting_says() -> None:
    assert SERVICES["balancer"]["env_file"] == SERVICES["interlinea"]["env_file"]
    (server,) = directives("default-server")
    assert server.endswith(' maxconn "$INTERLINEA_MAX_CONNECTIONS"')
    default = Settings.model_fields["max_connections"].default
    assert directives("setenv") == [f"INTERLINEA_MAX_CONNECTIONS {default}"]


@pytest.mark.parametrize("most", [None, "", "100"])
def test_the_balancer_takes_its_file(most: str | None) -> None:
    haproxy = shutil.which("haproxy", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if haproxy is None:
        pytest.skip("there is no haproxy here")
    setting = {} if most is None else {"INTERLINEA_MAX_CONNECTIONS": most}
    command = [haproxy, "-c", "-f", str(ROOT / "deploy/haproxy/haproxy.cfg")]
    made = subprocess.run(command, env=setting, capture_output=True, text=True, timeout=30)
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
@pytest.mark.parametrize("tools", [("wget", "bash"), ("bash",)])
def test_the_balancer_is_healthy_while_a_server_is_ready(
    tmp_path: Path, tools: tuple[str, ...], status: int, healthy: bool
) -> None:
    found = {tool: shutil.which(tool) for tool in tools}
    if missing := [tool for tool, path in found.items() if path is None]:
        pytest.skip(f"there is no {missing[0]} here")
    for tool, path in found.items():
        (tmp_path / tool).symlink_to(str(path))

    class Monitor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Monitor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        script = (ROOT / "deploy/haproxy/health.sh").read_text(encoding="utf-8")
        here = script.replace("8404", str(server.server_port))
        made = subprocess.run(["/bin/sh", "-c", here], env={"PATH": str(tmp_path)}, timeout=30)
        server.shutdown()
    assert (made.returncode == 0) is healthy
