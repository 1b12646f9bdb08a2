"""Serve the application over ASGI: plain hits on the event loop, everything else by threads.

A larger body is sent as the client reads it; no thread waits for the client. With a catalogue on PostgreSQL or a root
that is not on a local file system, plain hits run in threads, too.
"""

import asyncio
import io
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import Any

from plotindex.errors import PlotIndexError
from plotindex.web.answers import CHUNK, Answer, Headers, error_answer
from plotindex.web.direct_hits import Front
from plotindex.web.server.downloads import Download, DownloadEndedError, Downloads
from plotindex.web.server.environ import BadRequestError, Scope, environ_of
from plotindex.web.server.fair_turns import FairTurns
from plotindex.web.wsgi import Environ

BODY_SECONDS = 10.0
"""Timeout for a request's body."""
STALL_SECONDS = 20.0
"""Timeout for the client to read the next piece of a body."""
MAX_LARGE_BODIES = 64
"""Maximum concurrent bodies of several pieces: each holds some pieces in memory."""
MAX_LARGE_REQUESTS, EACH_LARGE_REQUESTS = 8, 2
"""Requests with a body of more than `max_body` that are read and answered at once, of all callers and of one."""
PIECE = 1 << 16
CLOSE = ("Connection", "close")

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
BeginLarge = Callable[[], Awaitable[None]]


class Gateway:
    """An ASGI application before a WSGI application."""

    def __init__(self, front: Front, threads: int, max_body: int, *, is_direct: bool) -> None:
        """`is_direct`: plain hits need neither the network nor a slow disk, and may run on the event loop."""
        self._front = front
        self._is_direct = is_direct
        self._pool = ThreadPoolExecutor(threads, "request")
        self._turns = FairTurns(threads, max(1, threads - 1))
        self._large_requests = FairTurns(MAX_LARGE_REQUESTS, EACH_LARGE_REQUESTS)
        self._max_body = max_body
        self._downloads = Downloads(MAX_LARGE_BODIES)
        self._closes_connections = False

    def is_busy(self) -> bool:
        """Whether requests are open that are no plain hits. Thread-safe."""
        return self._turns.is_in_use

    def close_connections(self) -> None:
        """From now on each answer closes its connection: this process is stopping."""
        self._closes_connections = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            environ = environ_of(scope)
        except BadRequestError as error:
            await self._send(error_answer(400, str(error), [CLOSE]), send)
            return
        self._front.apply_proxies(environ)
        answer = self._front.answer(environ, read_cached) if self._is_direct else None
        if answer is None:
            answer = await self._receive_and_ask(environ, receive)
            if answer is None:
                return
        if isinstance(answer.body, list):
            await self._send(answer, send)
        else:
            await self._send_large(answer, environ, receive, send)

    async def _receive_and_ask(self, environ: Environ, receive: Receive) -> Answer | None:
        """The answer to a request with its body; None if the client has left."""
        caller, turns = self._caller(environ), list[asyncio.Future[None]]()

        async def begin_large() -> None:
            turns.append(self._large_requests.ask(caller))
            # Unlike `await`, this does not cancel the turn at the deadline.
            await asyncio.wait(turns)

        try:
            async with asyncio.timeout(BODY_SECONDS) as deadline:
                await self._receive_body(environ, receive, begin_large)
                deadline.reschedule(None)
                # The body stays in memory until it is answered.
                return await self._ask(environ, receive)
        except TimeoutError:
            if not all(turn.done() for turn in turns):
                return error_answer(503, "Too many large requests; retry later", [("Retry-After", "5"), CLOSE])
            return error_answer(408, "The request's body did not arrive in time", [CLOSE])
        except ConnectionResetError:
            return None
        finally:
            for turn in turns:
                self._large_requests.give_up(caller, turn)

    async def _ask(self, environ: Environ, receive: Receive) -> Answer | None:
        """The application's answer; None if the client left before a thread was free."""
        caller = self._caller(environ)
        turn = self._turns.ask(caller)
        gone = None if turn.done() else asyncio.ensure_future(_disconnected(receive))
        try:
            if gone is not None:
                await asyncio.wait((turn, gone), return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return None
            # Not to be cancelled once it has begun: the answer may hold a file to close.
            return await asyncio.wrap_future(self._pool.submit(self._call, environ))
        finally:
            self._turns.give_up(caller, turn)
            if gone is not None:
                gone.cancel()

    def _caller(self, environ: Environ) -> str:
        try:
            return self._front.caller(environ)
        except PlotIndexError:
            # The answer, made in a thread, explains it.
            return ""

    def _call(self, environ: Environ) -> Answer:
        """Call the application in a thread."""
        if not self._is_direct:
            answer = self._front.answer(environ)
            if answer is not None:
                return answer
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: object = None) -> None:
            started[:] = [int(status[:3]), headers]

        body = self._front.flask(environ, start_response)
        size = next((int(value) for name, value in started[1] if name.lower() == "content-length"), None)
        if size is not None and size <= CHUNK:
            pieces = [b"".join(body)]
            _close(body)
            return Answer(started[0], started[1], pieces)
        return Answer(started[0], started[1], body)

    async def _receive_body(self, environ: Environ, receive: Receive, begin_large: BeginLarge) -> None:
        """Read the body into the environment; stop soon after the application's size limit.

        Before a large one is read on, `begin_large` is waited for.

        Raises:
            ConnectionResetError: the client is gone.
        """
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return
        body = io.BytesIO()
        has_more, is_large = True, False
        max_body = self._max_body_of(environ)
        while has_more and body.tell() <= max_body:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError("The client has closed the connection")
            body.write(message.get("body", b""))
            has_more = message.get("more_body", False)
            if not is_large and self._max_body < body.tell() <= max_body:
                is_large = True
                await begin_large()
        body.seek(0)
        environ["wsgi.input"] = body

    def _max_body_of(self, environ: Environ) -> int:
        try:
            return self._front.max_body(environ) or self._max_body
        except PlotIndexError:
            # As in `_caller`.
            return self._max_body

    async def _send(self, answer: Answer, send: Send) -> None:
        """Send an answer with its body in memory."""
        body: Any = answer.body
        await self._send_head(send, answer.status, answer.headers)
        await send({"type": "http.response.body", "body": body[0] if len(body) == 1 else b"".join(body)})

    async def _send_large(self, answer: Answer, environ: Environ, receive: Receive, send: Send) -> None:
        # Granian discards what is sent to a client that is gone: without this, the whole file would be read for it.
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            with self._downloads.place(self._caller(environ)) as download:
                if download is None:
                    await self._send(error_answer(503, "Too many downloads; retry later", [("Retry-After", "5")]), send)
                    return
                gone.add_done_callback(lambda _: download.end())
                await self._send_head(send, answer.status, answer.headers)
                # Granian closes the connection of a body that is shorter than promised.
                with suppress(DownloadEndedError):
                    await self._send_pieces(send, iter(answer.body), download)
        finally:
            gone.cancel()
            _close(answer.body)

    async def _send_pieces(self, send: Send, pieces: Iterator[bytes], download: Download) -> None:
        loop = asyncio.get_running_loop()
        while (piece := await loop.run_in_executor(self._pool, next, pieces, None)) is not None:
            download.check()
            for start in range(0, len(piece), PIECE):
                # Waits while the client does not read and the socket's buffer is full.
                async with download.step(STALL_SECONDS):
                    await send({"type": "http.response.body", "body": piece[start : start + PIECE], "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _send_head(self, send: Send, status: int, headers: Headers) -> None:
        encoded = list(map(_encode, headers))
        if self._closes_connections and CLOSE not in headers:
            encoded.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": encoded})


@lru_cache(1024)
def _encode(header: tuple[str, str]) -> tuple[bytes, bytes]:
    """A header as ASGI expects it. Most are the same in many answers."""
    name, value = header
    return name.lower().encode("latin-1"), value.encode("latin-1")


def read_cached(fd: int, size: int) -> bytes:
    """The first `size` bytes of a file, if reading does not wait for a disk (preadv2(2), RWF_NOWAIT).

    Raises:
        BlockingIOError: it would.
    """
    buffer = bytearray(size)
    try:
        count = os.preadv(fd, [buffer], 0, os.RWF_NOWAIT)
    except BlockingIOError:
        raise
    except OSError:
        # The file system does not support the flag: tmpfs (files in memory).
        return os.pread(fd, size, 0)
    if count == size:
        return bytes(buffer)
    if os.fstat(fd).st_size >= size:
        raise BlockingIOError("Only a part of the file is in memory")
    return bytes(buffer[:count])


async def _disconnected(receive: Receive) -> None:
    """Return once the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
