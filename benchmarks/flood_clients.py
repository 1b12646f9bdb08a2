"""Many concurrent clients in one process: reads a Flood, prints the number of answers."""

import asyncio
import json
import sys
import time
from collections import Counter
from itertools import count
from typing import Any, NamedTuple


class Flood(NamedTuple):
    """What the clients request, and whether they obey Retry-After."""

    path: str
    """`{number}` is replaced by a counter."""
    obey: bool
    names: int = 10**9
    """The counter starts again after so many."""


class Answers(NamedTuple):
    """Number of answers by status, and the time they took in seconds."""

    statuses: dict[str, int]
    seconds: float


async def _ask(given: dict[str, Any], numbers: "count[int]", until: float, statuses: Counter[str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", given["port"])
    head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {given['token']}\r\n\r\n"
    try:
        while time.monotonic() < until:
            path = given["path"].replace("{number}", str(next(numbers) % given["names"]))
            writer.write(f"GET {path} HTTP/1.1\r\n{head}".encode())
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            await reader.readexactly(int(headers["content-length"]))
            statuses[lines[0].split()[1]] += 1
            if given["obey"] and "retry-after" in headers:
                await asyncio.sleep(min(float(headers["retry-after"]), max(0.0, until - time.monotonic())))
    finally:
        writer.close()


async def _main() -> None:
    given = json.loads(sys.stdin.readline())
    statuses: Counter[str] = Counter()
    began = time.monotonic()
    numbers = count()
    clients = [
        asyncio.create_task(_ask(given, numbers, began + given["seconds"], statuses)) for _ in range(given["clients"])
    ]
    while sum(statuses.values()) < given["clients"]:
        await asyncio.sleep(0.01)
    print("connected", flush=True)
    await asyncio.gather(*clients)
    print(json.dumps([statuses, time.monotonic() - began]), flush=True)


if __name__ == "__main__":
    asyncio.run(_main())
