"""The statements that write the history."""

from plotindex.storage.history.rows import OF_NUMBERS
from plotindex.storage.statements import Prepared

SESSION = Prepared(
    "SELECT id, inode, birth_ns, since FROM history_session WHERE session = :of_session AND ended IS NULL"
)
GROW = Prepared("UPDATE history_session SET bytes = bytes + :more WHERE id = :of_session_id")
COPY = Prepared(
    "SELECT id FROM history_copy "
    "WHERE session_id = :of_session_id AND filename = :of_filename AND project = :of_project"
)
ADD_COPY = Prepared(
    "INSERT INTO history_copy (session_id, filename, project, drawn, lost) "
    "VALUES (:session_id, :filename, :project, 0, 0) RETURNING id"
)
SET_GONE = Prepared("UPDATE history_copy SET gone = :new_gone WHERE id = :of_copy_id")
COUNT_KEPT = Prepared("UPDATE history_copy SET drawn = drawn + 1 WHERE id = :of_copy_id")
COUNT_LOST = Prepared("UPDATE history_copy SET drawn = drawn + 1, lost = lost + 1 WHERE id = :of_copy_id")
HAS_VERSION = Prepared(f"SELECT 1 FROM history_version WHERE copy_id = :of_copy_id AND {OF_NUMBERS}")
ADD_VERSION = Prepared(
    "INSERT INTO history_version (copy_id, session_id, seen, digest, size, mtime_ns, ctime_ns, inode) "
    "VALUES (:copy_id, :session_id, :seen, :digest, :size, :mtime_ns, :ctime_ns, :inode)"
)
NEWEST_SEEN = Prepared("SELECT max(seen) FROM history_version WHERE copy_id = :of_copy_id")
SEEN = Prepared(
    "SELECT v.id, v.seen, c.gone FROM history_version AS v JOIN history_copy AS c ON c.id = v.copy_id "
    "WHERE v.copy_id = :of_copy_id ORDER BY v.seen DESC"
)
EMPTY = (
    Prepared(
        "DELETE FROM history_copy WHERE gone IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM history_version AS v WHERE v.copy_id = history_copy.id)"
    ),
    Prepared(
        "DELETE FROM history_session WHERE ended IS NOT NULL "
        "AND NOT EXISTS (SELECT 1 FROM history_copy AS c WHERE c.session_id = history_session.id)"
    ),
)
REMOVE = Prepared("DELETE FROM history_version WHERE id = :of_id RETURNING session_id, digest, size")
OLDEST = Prepared("SELECT id, size FROM history_version WHERE session_id = :of_session_id ORDER BY seen LIMIT :most")
NEED = Prepared("INSERT INTO history_content (digest, session_id, versions) VALUES (:digest, :session_id, 1)")
OF_CONTENT = "WHERE digest = :of_digest AND session_id = :of_session_id"
NEED_MORE = Prepared(f"UPDATE history_content SET versions = versions + 1 {OF_CONTENT}")
NEED_LESS = Prepared(f"UPDATE history_content SET versions = versions - 1 {OF_CONTENT}")
UNNEEDED = Prepared(f"DELETE FROM history_content {OF_CONTENT} AND versions <= 0")
FORGOTTEN = Prepared("SELECT 1 FROM history_forgotten WHERE mark = :of_mark")
FORGET = Prepared("INSERT INTO history_forgotten (mark) VALUES (:mark)")
PENDING = Prepared("SELECT size, mtime_ns, ctime_ns, inode FROM history_pending WHERE copy_id = :of_copy_id")
PEND = Prepared(
    "INSERT INTO history_pending (copy_id, session_id, due, size, mtime_ns, ctime_ns, inode) "
    "VALUES (:copy_id, :session_id, :due, :size, :mtime_ns, :ctime_ns, :inode)"
)
REPLACE = Prepared(
    "UPDATE history_pending SET due = :new_due, size = :new_size, mtime_ns = :new_mtime_ns, "
    "ctime_ns = :new_ctime_ns, inode = :new_inode WHERE copy_id = :of_copy_id"
)
DROP_PENDING = Prepared("DELETE FROM history_pending WHERE copy_id = :of_copy_id")
CREATE_STATE = Prepared("INSERT INTO history_state (folder, kept, lost, problem) VALUES (:folder, 0, 0, '')")
UPDATE_STATE = Prepared("UPDATE history_state SET problem = :problem, kept = kept + :kept")
COUNT_ALL_LOST = Prepared("UPDATE history_state SET lost = lost + :more")
START_SESSION = Prepared(
    "INSERT INTO history_session (session, inode, birth_ns, since, ended, bytes) "
    "VALUES (:session, :inode, :birth_ns, :since, :ended, 0) RETURNING id"
)
ALL_GONE = Prepared("UPDATE history_copy SET gone = :new_gone WHERE session_id = :of_session_id AND gone IS NULL")
ALL_LOST = Prepared(
    "UPDATE history_copy SET drawn = drawn + 1, lost = lost + 1 "
    "WHERE id IN (SELECT copy_id FROM history_pending WHERE session_id = :of_session_id)"
)
NONE_PENDING = Prepared("DELETE FROM history_pending WHERE session_id = :of_session_id")
END_SESSION = Prepared("UPDATE history_session SET ended = :new_ended WHERE id = :of_session_id")
# Not of those that could not be read: these wait for longer.
CAP_DUE = Prepared("UPDATE history_pending SET due = :latest WHERE due > :latest AND due <= ctime_ns + :settle")
OLDEST_PENDING = Prepared(
    "SELECT copy_id FROM history_pending WHERE session_id = :of_session_id ORDER BY due DESC LIMIT :most OFFSET :newest"
)
_OF_SESSION = "session_id IN (SELECT id FROM history_session WHERE session = :of_session)"
_COPIES = f"SELECT id FROM history_copy WHERE {_OF_SESSION}"
REMOVE_SESSION = (
    Prepared(f"DELETE FROM history_pending WHERE copy_id IN ({_COPIES})"),
    Prepared(f"DELETE FROM history_copy WHERE {_OF_SESSION}"),
    Prepared("DELETE FROM history_session WHERE session = :of_session"),
)
REMOVE_KEY = (
    Prepared(f"DELETE FROM history_pending WHERE copy_id IN ({_COPIES} AND filename = :of_filename)"),
    Prepared(f"DELETE FROM history_copy WHERE {_OF_SESSION} AND filename = :of_filename"),
)
TOTAL_BYTES = Prepared("SELECT coalesce(sum(bytes), 0) FROM history_session")
MOST_CONTENTS = Prepared(
    "SELECT session_id FROM history_content GROUP BY session_id ORDER BY count(*) DESC, session_id LIMIT 1"
)
LARGEST = Prepared("SELECT id, bytes FROM history_session WHERE bytes > 0 ORDER BY bytes DESC LIMIT :most")
