"""The statements that read and write facts."""

from plotindex.storage.facts.rows import FACTS
from plotindex.storage.rows import OF_COPY, PLOT
from plotindex.storage.session_selection import by_selection
from plotindex.storage.statements import Prepared

_COLUMNS = f"session, filename, project, version, {FACTS}"
_VALUES = ", ".join(f":{name}" for name in _COLUMNS.split(", "))
PLOT_OF_FACTS = ", ".join(f"plot.{name}" for name in PLOT.split(", "))
SAME_COPY = "plot.session = facts.session AND plot.filename = facts.filename AND plot.project = facts.project"

OF_PLACE = Prepared(f"SELECT version, {FACTS} FROM facts WHERE {OF_COPY}")
DIGESTS = Prepared("SELECT project, filename, version, digest FROM facts WHERE session = :of_session")
KNOWN = Prepared(f"SELECT id, version, title, text FROM facts WHERE {OF_COPY}")
WITH_DIGEST = by_selection(
    f"SELECT {PLOT_OF_FACTS}, facts.version FROM facts JOIN plot ON {SAME_COPY} "
    "WHERE facts.digest = :of_digest AND {0} ORDER BY facts.session, facts.filename, facts.project",
    "facts.session",
)
REUSABLE = Prepared(
    f"SELECT filename, {FACTS} FROM facts "
    "WHERE digest = :of_digest AND session = :of_session AND format <> '' LIMIT :most"
)
INSERT = Prepared(f"INSERT INTO facts ({_COLUMNS}) VALUES ({_VALUES}) RETURNING id")
DELETE = Prepared("DELETE FROM facts WHERE id = :of_id")
KEEP = Prepared(f"UPDATE facts SET gone = NULL WHERE {OF_COPY} AND gone IS NOT NULL")
MARK_GONE = Prepared(f"UPDATE facts SET gone = :now WHERE {OF_COPY}")
GONE = Prepared("SELECT id, title, text FROM facts WHERE gone < :before ORDER BY gone LIMIT :most")
GONE_BEYOND = Prepared(
    "SELECT id, title, text FROM facts WHERE gone IS NOT NULL ORDER BY gone DESC LIMIT :most OFFSET :kept"
)
LAST_ID = Prepared("SELECT max(id) FROM facts")
WITHOUT_PLOT = Prepared(
    f"SELECT id, title, text, (SELECT 1 FROM plot WHERE {SAME_COPY}) FROM facts "
    "WHERE id <= :upto ORDER BY id DESC LIMIT :most"
)
INDEX = Prepared("INSERT INTO facts_trigram (rowid, title, text) VALUES (:of_id, :title, :text)")
UNINDEX = Prepared(
    "INSERT INTO facts_trigram (facts_trigram, rowid, title, text) VALUES ('delete', :of_id, :title, :text)"
)

PEND = Prepared(
    "INSERT INTO uninspected (session, filename, project, due, turn) "
    "SELECT :of_session, :of_filename, :of_project, :due, "
    "CASE WHEN EXISTS (SELECT 1 FROM facts WHERE session = :of_session) THEN :of_session ELSE :shared END WHERE true "
    "ON CONFLICT (session, filename, project) DO UPDATE SET due = excluded.due, turn = excluded.turn"
)
DROP_PENDING = Prepared(f"DELETE FROM uninspected WHERE {OF_COPY}")
CAP_DUE = Prepared("UPDATE uninspected SET due = :latest WHERE due > :latest")
DUE_TURNS = Prepared(
    "WITH RECURSIVE next (turn) AS (SELECT min(turn) FROM uninspected WHERE turn > :behind "
    "UNION ALL SELECT (SELECT min(turn) FROM uninspected WHERE turn > next.turn) FROM next "
    "WHERE next.turn IS NOT NULL) SELECT turn FROM next WHERE turn IS NOT NULL "
    "AND EXISTS (SELECT 1 FROM uninspected AS u WHERE u.turn = next.turn AND u.due <= :upto) ORDER BY turn LIMIT :most"
)
DUE = Prepared(
    "SELECT session, filename, project FROM uninspected WHERE turn = :of_turn AND due <= :upto "
    "ORDER BY due DESC LIMIT :most"
)
DUE_COUNT = Prepared("SELECT count(*) FROM uninspected WHERE due <= :upto")
PENDING_COUNT = Prepared("SELECT count(*) FROM uninspected")

BACKLOG = Prepared("SELECT clock, session, filename, project FROM follower WHERE name = 'backlog'")
SET_BACKLOG = Prepared(
    "INSERT INTO follower (name, clock, session, filename, project, trimmed, round) "
    "VALUES ('backlog', :of_clock, :of_session, :of_filename, :of_project, 0, 0) "
    "ON CONFLICT (name) DO UPDATE SET clock = excluded.clock, session = excluded.session, "
    "filename = excluded.filename, project = excluded.project"
)
_BEHIND = (
    "(plot.clock, plot.session, plot.filename, plot.project) < (:of_clock, :of_session, :of_filename, :of_project)"
)
BEFORE = Prepared(
    f"SELECT plot.clock, {PLOT_OF_FACTS}, facts.version FROM plot LEFT JOIN facts ON {SAME_COPY} WHERE {_BEHIND} "
    "AND NOT EXISTS (SELECT 1 FROM uninspected AS u WHERE u.session = plot.session AND u.filename = plot.filename "
    "AND u.project = plot.project) "
    "ORDER BY plot.clock DESC, plot.session DESC, plot.filename DESC, plot.project DESC LIMIT :most"
)
BACKLOG_PENDING_COUNT = Prepared(
    "SELECT count(*) FROM uninspected AS u JOIN plot ON plot.session = u.session AND plot.filename = u.filename "
    f"AND plot.project = u.project WHERE {_BEHIND}"
)
BACKLOG_COUNT = Prepared(f"SELECT count(*) FROM plot WHERE {_BEHIND}")

TIMES = Prepared("SELECT filename, mtime_ns, ctime_ns FROM plot WHERE session = :of_session AND project = :of_project")

STATE = Prepared("SELECT host, updated, waiting, pace, problem FROM inspection")
NO_STATE = Prepared("DELETE FROM inspection")
SET_STATE = Prepared(
    "INSERT INTO inspection (host, updated, waiting, pace, problem) VALUES (:host, :updated, :waiting, :pace, :problem)"
)
