"""What distinguishes the folder of a session from another one that has had its name."""

import os

from plotindex.storage import FolderIdentity
from plotindex.system import ABSENT_ERRNOS, FOLDER_PATH_FLAGS, birth_ns
from plotindex.tree import Tree, to_int64


def identify(tree: Tree, session: str) -> FolderIdentity | None:
    """The identity of a session's folder; None if it is absent.

    Raises:
        OSError: it cannot be looked at.
    """
    try:
        with tree.folder((session,), FOLDER_PATH_FLAGS) as fd:
            return FolderIdentity(to_int64(os.fstat(fd).st_ino), birth_ns(fd))
    except OSError as error:
        if error.errno in ABSENT_ERRNOS:
            return None
        raise
