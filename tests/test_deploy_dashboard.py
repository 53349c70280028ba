"""Dashboard and alerts: what they ask for is there to be asked for."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from deploy.dashboard import PANELS, SOURCE, TARGET, dashboard, text

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"

HISTOGRAMS = {
    "interlinea_decoder_batch_fill_ratio",
    "interlinea_decoder_step_duration_seconds",
    "interlinea_http_request_duration_seconds",
    "interlinea_queue_wait_seconds",
    "interlinea_request_phase_seconds",
}
METRICS = {
    "interlinea_errors_total",
    "interlinea_failed_batches_total",
    "interlinea_http_requests_total",
    "interlinea_queue_sentences",
    "interlinea_ready",
    "interlinea_running_sentences",
    "interlinea_target_tokens_total",
}
FOREIGN = {  # of Prometheus, of every Python process, of HAProxy
    "up",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "haproxy_backend_active_servers",
    "haproxy_backend_connection_errors_total",
    "haproxy_backend_redispatch_warnings_total",
    "haproxy_backend_response_errors_total",
}
KNOWN = (
    METRICS | FOREIGN | {f"{h}_{part}" for h in HISTOGRAMS for part in ("bucket", "sum", "count")}
)


def read(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text(encoding="utf-8"))


RULES = [rule for group in read("prometheus/rules.yml")["groups"] for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}


def asked(promql: str) -> set[str]:
    """Names of the series in a query."""
    plain = re.sub(r'\{[^}]*\}|"[^"]*"|\[[^]]*\]|\b(by|without) \([^)]*\)', "", promql)
    words = re.findall(r"[a-z_][a-z0-9_:]*(?![a-z0-9_:]*\s*\()", plain)
    return set(words) - {"or", "and", "unless", "le"}


def test_names_of_series_are_found() -> None:
    promql = 'sum by (le, model) (rate(a_bucket{x="y"}[5m])) / (b:c > 0) or vector(0)'
    assert asked(promql) == {"a_bucket", "b:c"}


def test_the_dashboard_asks_for_known_metrics() -> None:
    for panel in PANELS:
        for query in panel.queries:
            assert asked(query.promql), f"{panel.title} asks for nothing"
            assert asked(query.promql) <= KNOWN | RECORDED, panel.title


def test_alerts_ask_for_known_metrics() -> None:
    for rule in RULES:
        assert asked(rule["expr"]) <= KNOWN | RECORDED, rule
    assert len(RECORDED) + len({rule["alert"] for rule in RULES if "alert" in rule}) == len(RULES)


def test_every_alert_is_tested_said_and_documented() -> None:
    tested = (DEPLOY / "prometheus" / "rules_test.yml").read_text(encoding="utf-8")
    docs = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for rule in RULES:
        if "alert" in rule:
            assert rule["annotations"]["summary"]
            assert rule["labels"]["severity"] in {"critical", "warning"}
            assert f"alertname: {rule['alert']}" in tested
            assert f"`{rule['alert']}`" in docs


def test_the_dashboard_is_the_one_that_is_described() -> None:
    assert TARGET.read_text(encoding="utf-8") == text(), "run: python -m deploy.dashboard"


def test_panels_lie_side_by_side() -> None:
    panels = dashboard(PANELS)["panels"]
    assert len({one["id"] for one in panels}) == len(panels)
    places = {(one["gridPos"]["x"], one["gridPos"]["y"]) for one in panels}
    assert len(places) == len(panels)
    assert all(one["gridPos"]["x"] + one["gridPos"]["w"] <= 24 for one in panels)
    assert all(json.dumps(one["targets"]) for one in panels)


def test_grafana_finds_its_source_and_its_dashboard() -> None:
    (source,) = read("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert {"type": source["type"], "uid": source["uid"]} == SOURCE
    assert source["url"] == "http://prometheus:9090"
    (provider,) = read("grafana/provisioning/dashboards/interlinea.yml")["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"


def test_prometheus_looks_for_services_that_there_are() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    names = set(services) | {"serving"}
    jobs = {job["job_name"]: job for job in read("prometheus/prometheus.yml")["scrape_configs"]}
    found = {
        name
        for job in jobs.values()
        for discovery in job.get("dns_sd_configs", [])
        for name in discovery["names"]
    }
    assert found == {"serving", "gpu", "balancer"}
    assert found <= names
