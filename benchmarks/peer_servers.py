"""Other servers of files and images, each installed into a virtual environment of its own."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.processes import CHECKOUT, BenchmarkSite, free_port
from benchmarks.serving import Server

ENVIRONMENTS = CHECKOUT / "build/peers"
INSTALL_SECONDS = int(os.environ.get("INSTALL_SECONDS", "60"))
START_SECONDS = 120
TAG = "plots"
TOKEN = secrets.token_hex(16)

STARLETTE = """
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
app = Starlette(routes=[Mount("/", StaticFiles(directory="plots"))])
"""
WRITE_EVENTS = """
import sys, time
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter
plot, tag = sys.argv[1:]
image = Summary.Image(height=100, width=100, colorspace=3, encoded_image_string=open(plot, "rb").read())
writer = EventFileWriter("events/project")
writer.add_event(Event(wall_time=time.time(), step=1, summary=Summary(value=[Summary.Value(tag=tag, image=image)])))
writer.close()
"""
LOG_ARTIFACT = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[2])
with mlflow.start_run() as run:
    mlflow.log_artifact(sys.argv[1])
print(run.info.run_id)
"""


class Peer(NamedTuple):
    """One of the servers, at its default settings."""

    name: str
    packages: tuple[str, ...]
    """What pip installs; the version of the first is printed."""
    command: tuple[str, ...]
    """Python module and its arguments; {port} and {token} are filled in."""
    find_path: Callable[["PeerSite"], str]
    """The path of the plot, asked of the listening server."""
    prepare: Callable[["PeerSite"], object] = lambda _: None
    scheme: str = "Bearer"
    checks: str = "nothing"
    """What the server checks of a request's sender."""

    @property
    def interpreter(self) -> str:
        return str(ENVIRONMENTS / self.name.lower() / "bin/python")


class PeerSite(NamedTuple):
    """Where a peer is started."""

    folder: Path
    plot: Path
    """Relative to `folder`."""
    peer: Peer
    environment: dict[str, str]
    port: int

    def run_script(self, script: str, *arguments: str) -> str:
        """Run Python source in the peer's environment; return its last line."""
        command = [self.peer.interpreter, "-c", script, *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{self.peer.name}: {done.stderr}")
        return done.stdout.strip().rpartition("\n")[2]

    def ask(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """The JSON that the server answers, as soon as it is not empty.

        Raises:
            OSError: it does not answer within START_SECONDS.
        """
        headers = {"Authorization": f"{self.peer.scheme} {TOKEN}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                if answer := json.load(urllib.request.urlopen(request, timeout=30)):
                    return answer
                raise OSError(f"{self.peer.name} has nothing at {path}")
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)


def _tensorboard_path(site: PeerSite) -> str:
    found = site.ask(f"/data/plugin/images/images?run=project&tag={TAG}&sample=0")
    return f"/data/plugin/images/individualImage?{found[0]['query']}"


def _mlflow_path(site: PeerSite) -> str:
    run = site.run_script(LOG_ARTIFACT, str(site.plot), f"http://127.0.0.1:{site.port}")
    return f"/get-artifact?path={site.plot.name}&run_uuid={run}"


def _tiled_path(site: PeerSite) -> str:
    node = "/".join(site.plot.relative_to("plots").with_suffix("").parts)
    (source,) = site.ask(f"/api/v1/metadata/{node}?include_data_sources=true")["data"]["attributes"]["data_sources"]
    return f"/api/v1/asset/bytes/{node}?id={source['assets'][0]['id']}"


PEERS = [
    Peer(
        "Starlette",
        ("starlette", "uvicorn[standard]"),
        ("uvicorn", "app:app", "--port", "{port}"),
        lambda site: f"/{site.plot.relative_to('plots')}",
        lambda site: (site.folder / "app.py").write_text(STARLETTE),
    ),
    Peer(
        "jupyter_server",
        ("jupyter_server",),
        (
            *("jupyter_server", "--no-browser", "--allow-root", "--port={port}", "--port-retries=0"),
            *("--ServerApp.root_dir=.", "--IdentityProvider.token={token}"),
        ),
        lambda site: f"/files/{site.plot}",
        checks="token",
    ),
    Peer(
        "TensorBoard",
        ("tensorboard", "setuptools<81"),
        ("tensorboard.main", "--logdir=events", "--port={port}"),
        _tensorboard_path,
        lambda site: site.run_script(WRITE_EVENTS, str(site.plot), TAG),
    ),
    Peer("MLflow", ("mlflow",), ("mlflow", "server", "--port", "{port}"), _mlflow_path),
    Peer(
        "Tiled",
        ("tiled[server]", "pillow"),
        (
            *("tiled", "serve", "directory", "plots", "--port", "{port}", "--api-key", "{token}"),
            # By default Tiled leaves PNG files out.
            *("--adapter", "image/png=tiled.adapters.jpeg:JPEGAdapter"),
        ),
        _tiled_path,
        scheme="Apikey",
        checks="API key",
    ),
]


def install(peer: Peer) -> str | None:
    """Install a peer into build/peers, unless it is there; return its version.

    None: not installed within INSTALL_SECONDS.

    Raises:
        RuntimeError: pip failed.
    """
    python = Path(peer.interpreter)
    folder = python.parent.parent
    installed = folder / "installed"
    if not installed.exists():
        shutil.rmtree(folder, ignore_errors=True)
        until = time.monotonic() + INSTALL_SECONDS
        quiet = ("--quiet", "--disable-pip-version-check", "--no-input")
        for command in (
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", *quiet, *peer.packages],
        ):
            left = max(0, until - time.monotonic())
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=left, check=False)
            except subprocess.TimeoutExpired:
                return None
            if done.returncode:
                raise RuntimeError(f"{peer.name} cannot be installed: {done.stderr}")
        installed.touch()
    (name, *_) = peer.packages[0].split("[")
    show = f"from importlib.metadata import version; print(version({name!r}))"
    return subprocess.run([str(python), "-c", show], capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def started_peer(site: BenchmarkSite, peer: Peer, plot: Path) -> Iterator[tuple[Server, str]]:
    """A peer that serves a plot, listening, and the plot's path."""
    port, log = free_port(), f"{peer.name}.log"
    own = PeerSite(site.folder, plot.relative_to(site.folder), peer, site.environment, port)
    peer.prepare(own)
    command = [argument.format(port=port, token=TOKEN) for argument in peer.command]
    with site.started(*command, log=log, interpreter=peer.interpreter) as process:
        site.wait_until_listening(process, port, log, timeout=START_SECONDS)
        yield Server(peer.name, process, port, TOKEN), peer.find_path(own)
