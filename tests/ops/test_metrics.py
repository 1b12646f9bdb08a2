"""Metrics, readiness and the access log."""

import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import psutil
import pytest
import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from plotindex.auth.tokens import Tokens
from plotindex.config.settings import Settings
from plotindex.index.indexer_lock import hold_indexer_lock
from plotindex.index.lookup import Lookup
from plotindex.ops.metrics import Metrics
from plotindex.ops.request_counts import Counts, read_counts
from plotindex.ops.status import read_status
from plotindex.storage.catalog import Catalog
from plotindex.storage.heartbeat import Heartbeat
from plotindex.storage.tables import indexer
from plotindex.tree.tree import Tree
from tests import CHECKOUT
from tests.support.processes import Index, RunPlotindex, Service, StartService, answers, draw, wait_until

MONITORING = CHECKOUT / "docs/monitoring"
HOSTILE = "secret session\x1b[31m"


class MetricsClient:
    """What /metrics says, of which server it is asked."""

    def __init__(self, url: str, tokens: Tokens) -> None:
        self._url = url
        self._secret = tokens.create("prometheus", metrics=True)

    def text(self) -> str:
        answer = self.get(self._secret)
        assert answer.status_code == 200, answer.text
        return answer.text

    def get(self, secret: str, path: str = "/metrics") -> requests.Response:
        return requests.get(self._url + path, headers={"Authorization": f"Bearer {secret}"}, timeout=10)

    def __getitem__(self, sample: str) -> float:
        """The value of `name{label="value"}`."""
        for family in text_string_to_metric_families(self.text()):
            for name, labels, value, *_ in family.samples:
                pairs = ",".join(f'{label}="{is_}"' for label, is_ in sorted(labels.items()))
                if sample in (name, f"{name}{{{pairs}}}"):
                    return value
        return 0.0


@pytest.fixture
def tokens(settings: Settings) -> Tokens:
    return Tokens(settings.make_state_folder() / "tokens.json")


@pytest.fixture
def running(
    root: Path, indexer: StartService, server: StartService, tokens: Tokens
) -> Iterator[tuple[Service, Service]]:
    draw(root, f"{HOSTILE}/project_a/hist.png")
    with indexer() as watching, server("--workers", "2") as serving:
        yield watching, serving


def test_metrics_cover_all_workers_and_the_indexer_and_name_no_plot(
    running: tuple[Service, Service], root: Path, tokens: Tokens, settings: Settings, plotindex: RunPlotindex
) -> None:
    watching, serving = running
    metrics, secret = MetricsClient(serving.url, tokens), tokens.create("all")
    plots = f"/api/smartstat/plots/{HOSTILE}/"
    for number in range(20):
        # A connection each: they go to both workers.
        assert metrics.get(secret, plots + "hist.png").status_code == 200
        assert metrics.get(secret, f"{plots}none{number}.png").status_code == 404
    # Each worker records what it has answered a moment later.
    wait_until(lambda: {metrics['plotindex_lookup_duration_seconds_count{source="hit"}'] for _ in range(6)} == {20.0})
    assert metrics['plotindex_lookup_duration_seconds_count{source="miss"}'] == 20.0
    assert metrics["plotindex_scan_duration_seconds_count"] == 20.0
    assert metrics['plotindex_http_responses_total{code="404",route="plot"}'] == 20.0
    assert read_counts(settings.request_counts_folder) == Counts(hits=20, misses=20, scans=20)
    assert "40 lookups in the last 5 minutes, 50.0% from the catalogue; 20 scans" in plotindex("status").stdout
    before = metrics["plotindex_delay_seconds_count"]
    draw(root, f"{HOSTILE}/project_b/hist.png")
    wait_until(lambda: metrics["plotindex_delay_seconds_count"] > before)
    assert metrics["plotindex_plots"] == 2
    assert metrics['plotindex_indexer_state{state="watching"}'] == metrics["plotindex_indexer_up"] == 1
    text = metrics.text()
    assert not [name for name in ("secret", "project_", "hist.png", str(root)) if name in text]
    assert metrics.get(secret, "/readyz").json() == {"ready": True}
    watching.stop()
    wait_until(lambda: metrics.get(secret, "/readyz").status_code == 503)
    assert "No indexer" in requests.get(f"{serving.url}/readyz", timeout=10).json()["reason"]
    assert metrics["plotindex_indexer_up"] == 0


def test_metrics_need_a_token_and_a_metrics_token_opens_no_plot(
    server: StartService, tokens: Tokens, root: Path, index: Index
) -> None:
    draw(root, "s/project_a/x.png")
    index()
    with server() as serving:
        metrics = MetricsClient(serving.url, tokens)
        assert metrics.get(tokens.create("all")).status_code == 200
        assert metrics.get(tokens.create("one", session="s")).status_code == 403
        assert metrics.get(tokens.create("some", session_glob="*")).status_code == 403
        # A proxy is local: where a request comes from says nothing.
        assert requests.get(f"{serving.url}/metrics", timeout=10).status_code == 401
        secret = tokens.create("numbers alone", metrics=True)
        for path in ("plots/s/x.png", "plots/s", "changes?since=0&session=s"):
            assert metrics.get(secret, f"/api/smartstat/{path}").status_code == 404
        assert metrics.get(secret, "/api/smartstat/plots").json()["sessions"] == []


def test_a_removed_or_damaged_folder_of_counters_fails_no_metrics_and_no_start(
    server: StartService, tokens: Tokens, root: Path, index: Index, tmp_path: Path
) -> None:
    draw(root, "s/project_a/x.png")
    index()
    (temporary := tmp_path / "tmp").mkdir()
    hits = 'plotindex_lookup_duration_seconds_count{source="unwatched"}'
    with server("--workers", "2", env={"TMPDIR": str(temporary)}) as serving:
        metrics, secret = MetricsClient(serving.url, tokens), tokens.create("all")

        def hit() -> float:
            """The hits of both workers, after one more."""
            assert metrics.get(secret, "/api/smartstat/plots/s/x.png").status_code == 200
            return metrics[hits]

        wait_until(lambda: hit() > 3)
        (folder,) = temporary.glob("plotindex-*")
        shutil.rmtree(folder)
        # A cleaner of /tmp has deleted it: each worker writes its counters again.
        wait_until(lambda: hit() > 6 and len(list(folder.glob("*.json"))) == 2)
        for file in folder.iterdir():
            os.truncate(file, 7)
        for number, content in enumerate((b"", b"[[1]]", b"{}", b"3", b"[null]", b"\xff" * 9000)):
            (folder / f"{number}-damaged.json").write_bytes(content)
        os.mkfifo(folder / "9-damaged.json")
        wait_until(lambda: hit() > 0)
        # A worker may write its counters meanwhile.
        shutil.rmtree(folder.rename(tmp_path / "deleted"), ignore_errors=True)
        for worker in psutil.Process(serving.pid).children():
            worker.kill()
        serving.wait_for(lambda: answers(serving.url))
        wait_until(lambda: hit() > 0)


def test_older_versions_can_read_tokens(tokens: Tokens, settings: Settings) -> None:
    tokens.create("all")
    (kept,) = json.loads((settings.state_folder / "tokens.json").read_text()).values()
    assert set(kept) == {"sha256", "created", "session", "session_glob", "expires"}


def test_dead_indexer_is_gone_and_stuck_one_shows_its_problem(tree: Tree, catalog: Catalog, settings: Settings) -> None:
    lock, now = settings.indexer_lock, time.time()

    def status_now() -> tuple[str | None, str | None, str]:
        status = read_status(catalog, tree.layout, lock=lock)
        assert status.indexer
        return status.trouble, Lookup(tree, catalog, lock=lock).degraded_reason(), status.indexer.state

    here = Heartbeat(socket.gethostname(), os.getpid(), now, now, "watching")
    catalog.store_heartbeat(here)
    # The kernel takes the lock from a dead process as from one that closes it.
    with hold_indexer_lock(lock) as held:
        assert status_now() == (None, None, "watching")
        catalog.store_heartbeat(here._replace(state="blocked"))
        held.report("Room is needed.")
        trouble, doubt, state = status_now()
        assert (trouble, state) == ("Room is needed.", "blocked")
        assert str(doubt).startswith("The indexer runs, but cannot")
        catalog.store_heartbeat(here._replace(heartbeat=now - 60))
        assert status_now() == (trouble, doubt, "silent")
        held.report("")
        assert "runs, but last reported 1 min ago" in str(status_now()[0])
    catalog.store_heartbeat(here)
    trouble, doubt, state = status_now()
    assert (state, "has died" in str(trouble), "No indexer" in str(doubt)) == ("gone", True, True)
    # A lock of this machine says nothing of an indexer on another, nor of one with another lock.
    for other in (here._replace(host="elsewhere"), here._replace(pid=1)):
        with catalog.writing() as writer:
            writer.connection.execute(indexer.delete())
        catalog.store_heartbeat(other)
        assert status_now() == (None, None, "watching")


def test_degraded_reason(tree: Tree, catalog: Catalog) -> None:
    assert "No indexer" in str(Lookup(tree, catalog).degraded_reason())
    catalog.database.close()
    catalog.database.path.unlink()
    assert "No readable catalogue" in str(Lookup(tree, catalog).degraded_reason())
    shutil.rmtree(tree.root)
    assert "root is missing" in str(Lookup(tree, catalog).degraded_reason())


def test_access_log_has_a_request_id_and_no_secret(server: StartService, tokens: Tokens, root: Path) -> None:
    draw(root, "s/project_a/x.png")
    secret = tokens.create("all")
    headers = {"Authorization": f"Bearer {secret}", "X-Request-Id": "given-by-the-proxy"}
    for access_log in ("on", "off"):
        with server("--access-log", access_log, "--proxies", "1") as serving:
            url = f"{serving.url}/api/smartstat/plots/s/x.png?v=1234"
            assert requests.get(url, headers=headers, timeout=10).status_code == 200
            assert requests.get(f"{serving.url}/login?code=some-code", timeout=10).status_code == 200
            serving.stop()
        lines = serving.stderr.splitlines()[1:]
        assert secret not in serving.stderr
        if access_log == "on":
            pattern = r".* INFO 127\.0\.0\.1 GET /api/smartstat/plots/s/x\.png 200 \d+ [\d.]+ ms fwd=miss "
            assert re.fullmatch(pattern + r"\[given-by-the-proxy\]", lines[-2]), lines
            assert re.fullmatch(r".* GET /login 200 \d+ [\d.]+ ms \[[0-9a-f]{12}\]", lines[-1]), lines
        else:
            assert not [line for line in lines if "GET" in line]


def test_alerts_and_dashboard_use_existing_metrics(catalog: Catalog) -> None:
    rules = [
        rule for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"] for rule in group["rules"]
    ]
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    asked = [rule["expr"] for rule in rules] + [target["expr"] for panel in panels for target in panel["targets"]]
    for expression in asked:
        promql_parser.parse(expression)
    now = time.time()
    catalog.store_heartbeat(
        Heartbeat("host", 1, now, now, "watching", watch_limit=1, reconciled=now, missed=0, proven=now)
    )
    metrics = Metrics()
    metrics.count_responses("plot", 200, 1)
    _, text = metrics.exposition(catalog, "")
    assert all({"remedy", "summary"} <= set(rule["annotations"]) for rule in rules)
    named = {name for expression in asked for name in re.findall(r"plotindex_\w+", expression)}
    assert not [name for name in named if name not in text.decode()]
