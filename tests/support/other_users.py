"""Other users of the machine: what the kernel lets them do, and a folder to which they can go."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from plotindex.ops.doctor.permissions import Credentials


def reachable_folder() -> Iterator[Path]:
    """A fixture: a folder to which every user can go, as pytest's own are private."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def asked_as(credentials: Credentials, question: Callable[[], str]) -> str:
    """What the question is answered in a child that is that user, with no privilege but root's."""
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
    with os.fdopen(reading) as told:
        answer = told.read()
    os.waitpid(child, 0)
    return answer
