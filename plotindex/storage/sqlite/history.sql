CREATE TABLE history_alembic_version ( version_num VARCHAR(32) NOT NULL, CONSTRAINT history_alembic_version_pkc PRIMARY KEY (version_num) );

CREATE TABLE history_session ( id INTEGER NOT NULL, session TEXT NOT NULL, inode BIGINT NOT NULL, birth_ns BIGINT, since BIGINT NOT NULL, ended BIGINT, bytes BIGINT NOT NULL, CONSTRAINT pk_history_session PRIMARY KEY (id) );

CREATE INDEX ix_history_session ON history_session (session);

CREATE INDEX ix_history_session_bytes ON history_session (bytes);

CREATE TABLE history_copy ( id INTEGER NOT NULL, session_id BIGINT NOT NULL, filename TEXT NOT NULL, project TEXT NOT NULL, gone BIGINT, drawn BIGINT NOT NULL, lost BIGINT NOT NULL, CONSTRAINT pk_history_copy PRIMARY KEY (id) );

CREATE UNIQUE INDEX ix_history_copy_place ON history_copy (session_id, filename, project);

CREATE TABLE history_version ( id INTEGER NOT NULL, copy_id BIGINT NOT NULL, session_id BIGINT NOT NULL, seen BIGINT NOT NULL, digest BLOB NOT NULL, size BIGINT NOT NULL, mtime_ns BIGINT NOT NULL, ctime_ns BIGINT NOT NULL, inode BIGINT NOT NULL, CONSTRAINT pk_history_version PRIMARY KEY (id) );

CREATE INDEX ix_history_version_copy ON history_version (copy_id, seen);

CREATE INDEX ix_history_version_session ON history_version (session_id, seen);

CREATE TABLE history_content ( digest BLOB NOT NULL, session_id BIGINT NOT NULL, versions BIGINT NOT NULL, CONSTRAINT pk_history_content PRIMARY KEY (digest, session_id) ) WITHOUT ROWID;

CREATE TABLE history_pending ( copy_id BIGINT NOT NULL, session_id BIGINT NOT NULL, due BIGINT NOT NULL, size BIGINT NOT NULL, mtime_ns BIGINT NOT NULL, ctime_ns BIGINT NOT NULL, inode BIGINT NOT NULL, CONSTRAINT pk_history_pending PRIMARY KEY (copy_id) );

CREATE INDEX ix_history_pending_session ON history_pending (session_id, due);

CREATE TABLE history_forgotten ( mark BLOB NOT NULL, CONSTRAINT pk_history_forgotten PRIMARY KEY (mark) ) WITHOUT ROWID;

CREATE TABLE history_follower ( name TEXT NOT NULL, clock BIGINT NOT NULL, session TEXT NOT NULL, filename TEXT NOT NULL, project TEXT NOT NULL, trimmed BIGINT NOT NULL, round BIGINT NOT NULL, CONSTRAINT pk_history_follower PRIMARY KEY (name) );

CREATE TABLE history_state ( folder TEXT NOT NULL, kept BIGINT NOT NULL, lost BIGINT NOT NULL, problem TEXT NOT NULL, CONSTRAINT pk_history_state PRIMARY KEY (folder) )
