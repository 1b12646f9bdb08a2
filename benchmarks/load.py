"""The load generator, a process of its own: `python -m benchmarks.load` reads a Job as JSON, prints a Load.

Raw sockets kept alive, one thread each: cheap enough that the server, not this, decides how many answers there are.
Every answer is compared with what it must be; a wrong one ends the benchmark.
"""

import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

HEAD_ROOM = 1 << 16


class Job(NamedTuple):
    """What to request, for how long, and the expected response."""

    port: int
    path: str
    token: str
    seconds: float
    connections: int
    file: str
    """A file with the expected body."""
    header: str | None
    """A line that the response's head must contain."""
    scheme: str = "Bearer"
    """The word before the token in the header Authorization."""


class Load(NamedTuple):
    """The result of a job."""

    requests: int
    seconds: float
    p50: float
    p99: float
    cpu_seconds: float
    """CPU time of the load generator itself."""


def run_job(job: Job) -> Load:
    """Send requests on all connections until the time is over.

    Raises:
        ValueError: an answer is wrong.
    """
    body = Path(job.file).read_bytes()
    began = time.perf_counter()
    with ThreadPoolExecutor(job.connections) as pool:
        asked = [pool.submit(_ask, job, body, began + job.seconds) for _ in range(job.connections)]
        latencies = [latency for one in asked for latency in one.result()]
    return Load(
        len(latencies),
        time.perf_counter() - began,
        median(latencies),
        quantiles(latencies, n=100)[98],
        time.process_time(),
    )


def _ask(job: Job, body: bytes, until: float) -> list[float]:
    request = (
        f"GET {job.path} HTTP/1.1\r\nHost: 127.0.0.1:{job.port}\r\nAuthorization: {job.scheme} {job.token}\r\n\r\n"
    ).encode()
    buffer = bytearray(len(body) + HEAD_ROOM)
    latencies = []
    connection: socket.socket | None = None
    try:
        while (began := time.perf_counter()) < until:
            connection = connection or _connect(job.port)
            connection.sendall(request)
            if not _receive(connection, buffer, body, job.header):
                connection.close()
                connection = None
            latencies.append(time.perf_counter() - began)
    finally:
        if connection:
            connection.close()
    return latencies


def _connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _receive(connection: socket.socket, buffer: bytearray, body: bytes, header: str | None) -> bool:
    """Check one answer; return whether the server keeps the connection."""
    view = memoryview(buffer)
    filled, start = 0, 0
    while not start or filled < start + len(body):
        received = connection.recv_into(view[filled:])
        if not received:
            raise ValueError(f"The server closed the connection after {bytes(view[:filled])[:400]!r}")
        filled += received
        if not start and (end := buffer.find(b"\r\n\r\n", 0, filled)) >= 0:
            _check_head(bytes(view[: end + 2]), len(body), header)
            start = end + 4
    if buffer[start:filled] != body:
        raise ValueError("The body is not the file's content")
    return b"\r\nconnection: close\r\n" not in buffer[:start].lower()


def _check_head(head: bytes, length: int, header: str | None) -> None:
    lines = head.lower().split(b"\r\n")
    wanted = [f"content-length: {length}", *([header.lower()] if header else [])]
    if not head.startswith(b"HTTP/1.1 200 ") or any(line.encode() not in lines for line in wanted):
        raise ValueError(f"The answer must be a 200 with {wanted}, but is {head!r}")


if __name__ == "__main__":
    print(json.dumps(run_job(Job(*json.load(sys.stdin)))))
