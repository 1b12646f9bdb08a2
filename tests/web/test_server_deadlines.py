"""Deadlines and bounds of the server's connections, over raw sockets and with the real times."""

import os
import resource
import select
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from plotindex.web.server.gateway import MAX_LARGE_BODIES
from tests.support.processes import PNG, draw, run_plotindex, wait_until
from tests.support.site import PREFIX, RawResponse, ServedSite, Site, served, serving

pytestmark = pytest.mark.slow

GONE_SECONDS = 30.0
PROBE_SECONDS = 6.0
EACH = 20
"""Connections that do the same."""
GONE = 60
"""Clients that send a request and go away."""
COSTLY, LISTED = 100, 400
"""Requests of one caller, each for so many names of ten copies."""
MANY = 5000
"""Connections of one client."""
LARGE = 50_000_000
PART = 8_000_000
BODIES, BODY = 40, 20 << 20
"""Requests of one caller at once, with so large bodies."""
HUGE = 1 << 36
HIT = PREFIX + "/s/x.png"
API = PREFIX.removesuffix("/plots")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    folder = tmp_path_factory.mktemp("deadlines")
    draw(folder, "plots/s/project_a/x.png")
    os.truncate(draw(folder, "plots/s/project_a/large.png"), LARGE)
    os.truncate(draw(folder, "plots/s/project_a/huge.png"), HUGE)
    with served(folder, PLOTINDEX_PROXIES="1", PLOTINDEX_MAX_FILENAME_BYTES="4096") as shared:
        yield shared


@pytest.fixture
def site(running: ServedSite) -> Site:
    return running.site


@pytest.fixture
def connect(site: Site) -> Iterator[Callable[[bytes], socket.socket]]:
    """Connect and send these bytes; the client's buffer is small."""
    with ExitStack() as stack:

        def start(sent: bytes) -> socket.socket:
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(20)
            connection.connect(("127.0.0.1", int(site.url.rpartition(":")[2])))
            connection.sendall(sent)
            return connection

        yield start


@pytest.fixture
def raised_limit() -> Iterator[None]:
    """This process may have MANY connections."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], MANY + 1000), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def request(site: Site, path: str, *lines: str, token: str | None = None) -> bytes:
    head = [f"GET {path} HTTP/1.1", f"Authorization: Bearer {token or site.token}", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n"


def response(connection: socket.socket) -> RawResponse:
    """The response until the server closes the connection."""
    received = b""
    while chunk := connection.recv(1 << 16):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    return RawResponse(head, body)


def client_ports(pid: int) -> set[int]:
    """The ports of the clients that the workers are connected to."""
    ports = set()
    for process in psutil.Process(pid).children(recursive=True):
        # A renderer, or a scan, may end meanwhile.
        with suppress(psutil.NoSuchProcess):
            ports |= {one.raddr.port for one in process.net_connections("tcp") if one.raddr}
    return ports


def send(site: Site, *lines: str, path: str = HIT) -> RawResponse:
    """The response to a GET with these lines in its head."""
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(request(site, path, "Host: 127.0.0.1", "Connection: close", *lines))
        return response(connection)


def test_a_header_with_an_underscore_does_not_reach_the_application(running: ServedSite, site: Site) -> None:
    for name in ("If_None_Match", "IF_NONE_MATCH", "If-None_Match"):
        assert b"304" not in send(site, f"{name}: *").head, name
    assert send(site, "If-None-Match: *").status == 304
    assert send(site, "X_Forwarded_For: 203.0.113.1", "X_Request_ID: forged").status == 200
    assert send(site, "X-Forwarded-For: 203.0.113.2", "X-Request-ID: given").status == 200
    service = running.service
    service.wait_for(lambda: "203.0.113.2" in service.stderr + service.stdout)
    log = service.stderr + service.stdout
    assert "given" in log
    assert "203.0.113.1" not in log
    assert "forged" not in log


def test_several_hosts_are_refused(site: Site) -> None:
    for path in ("/healthz", HIT, "/login"):
        refused = send(site, "Host: another", path=path)
        assert (refused.status, refused.headers[b"content-type"]) == (400, b"application/json"), path


def test_beyond_the_bound_a_large_body_is_refused_and_a_hit_is_not(
    site: Site, connect: Callable[[bytes], socket.socket]
) -> None:
    large = request(site, f"{PREFIX}/s/large.png", "Host: 127.0.0.1", "Connection: close")
    readers = [connect(large) for _ in range(MAX_LARGE_BODIES)]
    assert all(reader.recv(12) == b"HTTP/1.1 200" for reader in readers)
    refused = response(connect(large))
    assert (refused.status, refused.headers[b"retry-after"]) == (503, b"5")
    assert site.get("/s/x.png").content == PNG
    for reader in readers:
        reader.close()
    wait_until(lambda: connect(large).recv(12) == b"HTTP/1.1 200")


def test_a_caller_who_downloads_slowly_keeps_no_other_from_downloading(
    running: ServedSite, connect: Callable[[bytes], socket.socket]
) -> None:
    site = running.site
    lines = (f"{PREFIX}/s/large.png", "Host: 127.0.0.1", "Connection: close", f"Range: bytes=-{PART}")
    create = ["token", "create", "--session", "s", "--name"]
    slow, other = (
        run_plotindex([*create, name], running.environment, running.folder).stdout.strip() for name in ("slow", "other")
    )
    readers = []
    for _ in range(MAX_LARGE_BODIES):
        readers.append(connect(request(site, *lines, token=slow)))
        assert readers[-1].recv(12) == b"HTTP/1.1 206"
    assert len(response(connect(request(site, *lines, token=other))).body) == PART
    # The oldest of the slow downloads has ended for it.
    assert len(response(readers[0]).body) < PART


def test_the_download_of_a_client_that_has_gone_ends(site: Site, connect: Callable[[bytes], socket.socket]) -> None:
    worker = psutil.Process(site.pid).children()[0]

    def is_read() -> bool:
        return any(file.path.endswith("/huge.png") for file in worker.open_files())

    with connect(request(site, f"{PREFIX}/s/huge.png", "Host: 127.0.0.1")) as reader:
        assert reader.recv(12) == b"HTTP/1.1 200"
        assert is_read()
    wait_until(lambda: not is_read(), PROBE_SECONDS)


def test_a_signed_url_makes_no_one_several_callers(
    running: ServedSite, connect: Callable[[bytes], socket.socket]
) -> None:
    site = running.site
    (url,) = [plot["url"] for plot in site.get("/s").json()["plots"] if plot["filename"] == "large.png"]
    signed = [connect(request(site, url, "Host: 127.0.0.1", token=f"forged-{number}")) for number in range(2)]
    assert all(reader.recv(12) == b"HTTP/1.1 200" for reader in signed)
    lines = (f"{PREFIX}/s/large.png", "Host: 127.0.0.1", "Connection: close")
    readers = [connect(request(site, *lines)) for _ in range(MAX_LARGE_BODIES - 2)]
    assert all(reader.recv(12) == b"HTTP/1.1 200" for reader in readers)
    taken = [connect(request(site, url, "Host: 127.0.0.1", "Connection: close", token="forged")) for _ in range(31)]
    # Half of all places are then the address's.
    assert sorted(one.recv(12) for one in taken) == [b"HTTP/1.1 200"] * 30 + [b"HTTP/1.1 503"]


def test_a_signed_url_of_the_longest_name_fits_and_a_larger_head_is_refused(
    running: ServedSite, connect: Callable[[bytes], socket.socket]
) -> None:
    site = running.site
    name = "/".join(["\N{SNOWMAN}" * 80] * 15) + ".png"
    assert 3600 < len(name.encode()) < 4096
    draw(site.root, f"s/project_a/{name}")
    assert run_plotindex(["rebuild"], running.environment, running.folder).returncode == 0
    (url,) = [plot["url"] for plot in site.get("/s").json()["plots"] if plot["filename"] == name]
    assert len(url) > 10_000
    lines = ("Host: 127.0.0.1", "Connection: close", f"Referer: {site.url}{url}")
    assert response(connect(request(site, url, *lines, token="none"))).body == PNG
    for size, status in ((20_000, 200), (100_000, 431)):
        head = request(site, HIT, "Host: 127.0.0.1", "Connection: close", f"X-Large: {'x' * size}")
        with connect(head[:50_000]) as sender:
            assert response(sender).status == status


def test_thousands_of_connections_keep_no_other_client_waiting(
    running: ServedSite, raised_limit: None, connect: Callable[[bytes], socket.socket]
) -> None:
    site = running.site
    prefix = ("sh", "-c", 'ulimit -Sn 1024 && exec "$@"', "sh")
    with serving(running.folder, running.environment, "many", prefix) as service, ExitStack() as stack:
        address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
        for _ in range(MANY):
            stack.enter_context(socket.create_connection(address)).sendall(b"GET / HTTP/1.1\r\nX: ")
        for path in ("/healthz", HIT, HIT):
            began = time.monotonic()
            with socket.create_connection(address, PROBE_SECONDS) as probe:
                probe.sendall(request(site, path, "Host: 127.0.0.1", "Connection: close"))
                assert response(probe).status == 200
            assert time.monotonic() - began < PROBE_SECONDS


def test_a_connection_that_does_nothing_is_gone_in_time_and_holds_nobody_up(
    running: ServedSite, site: Site, connect: Callable[[bytes], socket.socket]
) -> None:
    kinds = {
        "silent": b"",
        "half a head": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-",
        "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "no body": b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 20\r\n\r\ncode=",
        "stopped reading": request(site, f"{PREFIX}/s/large.png", "Host: 127.0.0.1"),
        "reads slowly": request(site, f"{PREFIX}/s/large.png", "Host: 127.0.0.1"),
    }
    began = time.monotonic()
    connections = {kind: [connect(sent) for _ in range(EACH)] for kind, sent in kinds.items()}
    ports = {kind: {one.getsockname()[1] for one in some} for kind, some in connections.items()}
    wait_until(lambda: client_ports(site.pid) >= ports["stopped reading"], PROBE_SECONDS)
    slowest, read_at = 0.0, began
    while any(ports.values()) and time.monotonic() - began < GONE_SECONDS:
        for path in ("/healthz", HIT):
            asked = time.monotonic()
            with connect(request(site, path, "Host: 127.0.0.1", "Connection: close")) as probe:
                assert response(probe).status == 200
            slowest = max(slowest, time.monotonic() - asked)
        if time.monotonic() >= read_at:
            read_at += 1
            for one in connections["reads slowly"]:
                one.recv(1000)
        open_ports = client_ports(site.pid)
        ports = {kind: some & open_ports for kind, some in ports.items()}
    assert {kind: len(some) for kind, some in ports.items()} == dict.fromkeys(kinds, 0)
    assert slowest < PROBE_SECONDS
    assert {response(one).status for one in connections["no body"]} == {408}
    assert "Traceback" not in running.service.stderr + running.service.stdout


def test_the_large_bodies_of_one_caller_take_bounded_memory_and_leave_places_to_others(running: ServedSite) -> None:
    site = running.site
    [worker] = psutil.Process(site.pid).children()
    before, most = worker.memory_info().rss, 0
    create = ["token", "create", "--session", "s", "--name", "bodies"]
    limited = run_plotindex(create, running.environment, running.folder).stdout.strip()
    address = ("127.0.0.1", int(site.url.rpartition(":")[2]))

    def post(token: str, content: bytes, length: int) -> bytes:
        with socket.create_connection(address, 2 * GONE_SECONDS) as connection, suppress(OSError):
            connection.sendall(
                f"POST {API}/like HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
                f"Connection: close\r\nContent-Length: {length}\r\n\r\n".encode()
            )
            connection.sendall(content)
            return response(connection).head[:12]
        return b"closed"

    with ThreadPoolExecutor(BODIES + 1) as pool:
        held = [pool.submit(post, limited, bytes(BODY - 1), BODY) for _ in range(BODIES)]
        wait_until(lambda: worker.memory_info().rss > before + BODY)
        # It is not a picture: it was received and looked at.
        assert pool.submit(post, site.token, b"x" * 100_000, 100_000).result(PROBE_SECONDS) == b"HTTP/1.1 422"
        while not all(one.done() for one in held):
            most = max(most, worker.memory_info().rss)
            time.sleep(0.05)
    assert most - before < 10 * BODY
    assert {one.result() for one in held} <= {b"HTTP/1.1 408", b"HTTP/1.1 503", b"closed"}


def test_requests_of_clients_that_have_gone_are_not_begun(tmp_path: Path) -> None:
    folder = tmp_path / "plots/evil/project_a" / "/".join(["a" * 250] * 3)
    for number in range(2000):
        draw(folder, f"{'a' * 200}{number}.png", b"")
    with served(tmp_path, PLOTINDEX_WORKERS="1", PLOTINDEX_THREADS="1") as (site, service, *_), ExitStack() as stack:
        costly = request(site, f"{PREFIX}/evil?q=*{'a?' * 200}b*", "Host: 127.0.0.1")
        address = ("127.0.0.1", int(site.url.rpartition(":")[2]))
        for _ in range(GONE):
            stack.enter_context(socket.create_connection(address)).sendall(costly)
        wait_until(lambda: len(client_ports(site.pid)) == GONE)
        stack.close()
        # Threads take this up after all of these.
        assert site.get("/none").status_code == 404
        service.wait_for(lambda: f"{PREFIX}/none 404" in service.stderr + service.stdout)
        assert (service.stderr + service.stdout).count(f"{PREFIX}/evil 200") < GONE // 2


def test_costly_requests_of_one_caller_keep_no_other_waiting(tmp_path: Path) -> None:
    for number in range(LISTED):
        for project in range(10):
            draw(tmp_path, f"plots/evil/project_{project}/{'é' * 100}{number}.png", b"")
    draw(tmp_path, "plots/s/project_a/x.png")
    with served(tmp_path, PLOTINDEX_WORKERS="1") as (site, _, folder, environment), ExitStack() as stack:
        created = run_plotindex(["token", "create", "--name", "s", "--session", "s"], environment, folder)
        address = ("127.0.0.1", int(site.url.rpartition(":")[2]))
        for _ in range(COSTLY):
            connection = stack.enter_context(socket.create_connection(address))
            connection.sendall(request(site, f"{PREFIX}/evil?limit=1000", "Host: 127.0.0.1"))
        for _ in range(3):
            began = time.monotonic()
            assert site.get("/s", token=created.stdout.strip()).status_code == 200
            assert time.monotonic() - began < PROBE_SECONDS
        # They have not all been answered meanwhile.
        assert not select.select([connection], [], [], 0)[0]
