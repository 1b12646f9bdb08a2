"""The renderer process: its confinement, its jobs, and how it ends."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest
from PIL import Image

from plotindex.rendering.protocol import Outcome
from plotindex.rendering.renderer_client import RendererClient
from tests.support.images import encoded, halves
from tests.support.processes import draw, wait_until

PROGRAM = """
import encodings.idna, os, socket, sys
from plotindex.rendering import sandbox

secret, user, names = sys.argv[1], int(sys.argv[2]), sys.argv[3]
# getaddrinfo imports it, which Python 3.13 cannot do once confined; what it must not do comes after that.
"localhost".encode("idna")
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
parent = os.getppid()
if user:
    os.chown(secret, user, user)
    os.setgroups([]); os.setresgid(user, user, user); os.setresuid(user, user, user)
open(secret).close()
methods = {name: sandbox.METHODS[name] for name in names.split(",") if name}
try:
    print("confined:", *sandbox.confine(1_000_000, methods), file=sys.stderr)
except sandbox.ConfinementError as error:
    print("refused", file=sys.stderr)
    sys.exit(3)
tried = {
    "secret": lambda: open(secret),
    "up": lambda: open("/" + "../" * 30 + secret.lstrip("/")),
    "own environment": lambda: open("/proc/self/environ"),
    "parent's environment": lambda: open(f"/proc/{parent}/environ"),
    "first process": lambda: open("/proc/1/environ"),
    "list": lambda: os.listdir("/etc"),
    "write": lambda: open("/tmp/written-by-the-drawing", "w"),
    "delete": lambda: os.unlink(secret),
    "chroot out": lambda: (os.mkdir("x"), os.chroot("x"), os.chdir("../../../../.."), os.chroot("."), open(secret)),
    "become root": lambda: os.setresuid(0, 0, 0) if os.getresuid() != (0, 0, 0) else 1 / 0,
    "program": lambda: os.execv(sys.executable, [sys.executable, "-c", "pass"]),
}
if "Landlock" in methods:
    tried["connect"] = lambda: socket.create_connection(("127.0.0.1", port), timeout=5)
    tried["listen"] = lambda: socket.create_server(("127.0.0.1", 0))
    tried["signal"] = lambda: os.kill(parent, 0)
for what, attempt in tried.items():
    try:
        attempt()
    except (OSError, ZeroDivisionError):
        continue
    print("did:", what, file=sys.stderr)
sandbox.confine_job(1, parent, keep=(0, 1, 2))
try:
    os.fork()
    print("did: fork", file=sys.stderr)
except OSError:
    pass
"""


@pytest.mark.parametrize("user", [0, 4242], ids=["root", "somebody"])
@pytest.mark.parametrize("methods", ["chroot", "Landlock", "chroot,Landlock"])
def test_each_confinement_method_denies_files_network_and_processes(tmp_path: Path, user: int, methods: str) -> None:
    done = confined(tmp_path, user, methods)
    assert (done.returncode, done.stderr) == (0, f"confined: {methods.replace(',', ' ')}\n")
    assert (tmp_path / "tokens.json").read_text() == "secret"


def test_confine_fails_without_a_method(tmp_path: Path) -> None:
    done = confined(tmp_path, 0, "")
    assert (done.returncode, done.stderr) == (3, "refused\n")


def confined(folder: Path, user: int, methods: str) -> "subprocess.CompletedProcess[str]":
    """Run PROGRAM, which confines itself and then tries what it must not do."""
    secret = folder / "tokens.json"
    secret.write_text("secret")
    for outer in (folder, *folder.parents[:3]):
        outer.chmod(outer.stat().st_mode | 0o011)
    return subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", PROGRAM, secret, str(user), methods],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


JOBS = """
import ctypes, os, signal, socket, sys, threading, time
from pathlib import Path
from plotindex.rendering import renderer_process
from plotindex.rendering.protocol import Outcome

def refused(*calls):
    for call in calls:
        try:
            call()
        except PermissionError:
            continue
        return Outcome.FAILED
    return Outcome.LARGER

def open_fds():
    for fd in range(16):
        try:
            os.fstat(fd)
        except OSError:
            continue
        return Outcome.FAILED
    return Outcome.LARGER

def kill_children():
    for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)

works = {
    "good": lambda: Outcome.LARGER,
    "fails": lambda: 1 / 0,
    "hangs": lambda: threading.Event().wait(),
    "spins": lambda: [None for _ in iter(int, 1)],
    "crashes": lambda: ctypes.string_at(0),
    "is killed": lambda: threading.Event().wait(),
    "has no descriptor": open_fds,
    "calls nothing": lambda: refused(
        socket.socket, os.fork, os.setsid, os.pipe, lambda: os.kill(os.getppid(), 0), lambda: open("/dev/null"),
        lambda: os.chmod("/dev/null", 0o666), lambda: os.execv("/bin/true", ["true"]), lambda: os.memfd_create("x"),
        lambda: os.utime("/dev/null"), lambda: os.readlink("/proc/self/exe"), lambda: os.read(0, 1), os.sched_yield,
        lambda: os.lseek(0, 0, os.SEEK_SET), lambda: time.sleep(0.001),
    ),
    "lies": lambda: os._exit(77),
    "good again": lambda: Outcome.RENDERED,
}
for name, work in works.items():
    if name == "is killed":
        threading.Timer(0.1, kill_children).start()
    # On a busy machine the CPU time of the one that spins takes long.
    renderer_process.WALL_CLOCK_FACTOR = 60 if name == "spins" else 3
    print(f"{name}: {renderer_process.run_in_child(work, 0.3, ())}")
"""


def test_every_job_ends_without_affecting_another() -> None:
    done = subprocess.run([sys.executable, "-c", JOBS], capture_output=True, text=True, check=False, timeout=30)
    assert dict(line.split(": ") for line in done.stdout.splitlines()) == {
        "good": Outcome.LARGER,
        "fails": Outcome.FAILED,
        "hangs": Outcome.BUSY,
        "spins": Outcome.TOO_SLOW,
        "crashes": Outcome.CRASHED,
        "is killed": Outcome.BUSY,
        "has no descriptor": Outcome.LARGER,
        "calls nothing": Outcome.LARGER,
        "lies": Outcome.FAILED,
        "good again": Outcome.RENDERED,
    }


@pytest.fixture
def renderer() -> Iterator[RendererClient]:
    renderer = RendererClient(timeout=1.0)
    yield renderer
    renderer.close()


@pytest.fixture
def plot(tmp_path: Path) -> Iterator[int]:
    fd = os.open(draw(tmp_path, "x.png", encoded(halves())), os.O_RDONLY)
    yield fd
    os.close(fd)


def process_of(renderer: RendererClient) -> psutil.Process:
    assert renderer.pid is not None
    return psutil.Process(renderer.pid)


def test_it_starts_with_the_first_job_and_renders_the_descriptor(renderer: RendererClient, plot: int) -> None:
    assert renderer.pid is None
    outcome, drawn = renderer.run(".png 160", plot)
    assert (outcome, drawn[:4], drawn[8:12]) == (Outcome.RENDERED, b"RIFF", b"WEBP")
    assert os.lseek(plot, 0, os.SEEK_CUR) == 0
    assert renderer.run(".svg 160", plot) == (Outcome.FAILED, b"")


def test_it_has_no_secrets_descriptors_or_privileges(
    renderer: RendererClient, plot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLOTINDEX_SECRET_KEY", "k" * 32)
    monkeypatch.setenv("DATABASE_PASSWORD", "p")
    renderer.run(".png 160", plot)
    process = process_of(renderer)
    assert set(process.environ()) <= {"PYTHONPATH", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME", "GLIBC_TUNABLES"}
    assert set(os.listdir(f"/proc/{process.pid}/fd")) == {"0", "1", "2"}
    assert process.nice() >= 10
    status = dict(line.split(":\t") for line in Path(f"/proc/{process.pid}/status").read_text().splitlines())
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert process.num_threads() == 1


def test_a_hanging_renderer_is_killed_and_replaced(renderer: RendererClient, plot: int) -> None:
    renderer.run(".png 160", plot)
    process = process_of(renderer)
    process.suspend()
    assert renderer.run(".png 160", plot) == (Outcome.BUSY, b"")
    assert not process.is_running()
    assert renderer.run(".png 160", plot)[0] is Outcome.RENDERED


def test_a_killed_renderer_fails_one_job(renderer: RendererClient, plot: int) -> None:
    renderer.run(".png 160", plot)
    process = process_of(renderer)
    process.suspend()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(renderer.run, ".png 160", plot)
        # The job is in the socket, and with it the plot's descriptor.
        wait_until(asked.running)
        process.kill()
        assert asked.result() == (Outcome.BUSY, b"")
    assert renderer.run(".png 160", plot)[0] is Outcome.RENDERED


def has_ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def test_it_ends_with_its_parent(tmp_path: Path, plot: int) -> None:
    code = (
        "import sys, os, signal\nfrom plotindex.rendering.renderer_client import RendererClient\n"
        "d = RendererClient()\nd.run('.png 160', int(sys.argv[1]))\n"
    )
    for end in ("os.kill(os.getpid(), signal.SIGKILL)", "os._exit(0)", "pass"):
        command = [sys.executable, "-W", "error", "-c", f"{code}print(d.pid, flush=True)\n{end}", str(plot)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, pass_fds=[plot], timeout=30)
        assert done.stderr == ""
        pid = int(done.stdout)
        wait_until(partial(has_ended, pid))


def test_a_result_that_is_not_a_webp_is_refused(
    renderer: RendererClient, plot: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for content in (b"", b"<html>", b"RIFF\0\0\0\0WEBP", b"RIFF\x04\0\0\0WEBPmore"):

        def lie(_running: object, _job: str, fds: list[int], content: bytes = content) -> Outcome:
            os.write(fds[1], content)
            return Outcome.RENDERED

        monkeypatch.setattr(renderer, "_send", lie)
        assert renderer.run(".png 160", plot) == (Outcome.FAILED, b"")


def test_a_failed_start_is_logged_once(
    renderer: RendererClient, plot: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("plotindex.system.processes.python_interpreter", lambda: "/bin/false")
    began = time.monotonic()
    assert [renderer.run(".png 160", plot)[0] for _ in range(3)] == [Outcome.BUSY] * 3
    assert time.monotonic() - began < 15
    assert caplog.text.count("No pictures, full-size plots") == 1
    assert "Landlock" in caplog.text
    monkeypatch.setattr("plotindex.system.processes.python_interpreter", lambda: sys.executable)
    monkeypatch.setattr("plotindex.rendering.renderer_client.START_SECONDS", 0.001)
    late = RendererClient()
    assert late.run(".png 160", plot) == (Outcome.BUSY, b"")
    assert "timed out" in caplog.text
    assert late.pid is None


def test_an_image_of_maximum_size_is_rendered_within_the_limits(tmp_path: Path) -> None:
    renderer = RendererClient()
    file = tmp_path / "x.png"
    Image.new("RGBA", (8000, 8000)).save(file, compress_level=1)
    fd = os.open(file, os.O_RDONLY)
    try:
        assert renderer.run(".png 320", fd)[0] is Outcome.RENDERED
    finally:
        os.close(fd)
        renderer.close()


def test_an_unreferenced_client_leaves_no_process(plot: int) -> None:
    renderer = RendererClient()
    renderer.run(".png 160", plot)
    pid = process_of(renderer).pid
    del renderer
    assert not psutil.pid_exists(pid)
