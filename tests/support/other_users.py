"""Run code as another user of the machine, in a folder that every user can reach."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from plotindex.ops.doctor.permissions import Credentials


def reachable_folder() -> Iterator[Path]:
    """A fixture: a folder that every user can reach; pytest's own are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def run_as_user(credentials: Credentials, question: Callable[[], str]) -> str:
    """The result of `question` in a child process with those credentials."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            groups = sorted(credentials.groups)
            os.setgroups(groups)
            os.setresgid(groups[0], groups[0], groups[0])
            assert credentials.user is not None
            os.setresuid(credentials.user, credentials.user, credentials.user)
            os.write(writing, question().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return answer
