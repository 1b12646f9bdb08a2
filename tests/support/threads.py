"""Run what starts an event loop in a thread of its own."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def without_event_loop(function: Callable[P, T]) -> Callable[P, T]:
    """Call a function that starts an event loop where none runs: in the main thread Playwright's may."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(function, *args, **kwargs).result()

    return run
