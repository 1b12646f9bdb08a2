CREATE TABLE alembic_version ( version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num) );

CREATE TABLE plot ( session TEXT NOT NULL, filename TEXT NOT NULL, project TEXT NOT NULL, size BIGINT NOT NULL, mtime_ns BIGINT NOT NULL, ctime_ns BIGINT NOT NULL, inode BIGINT NOT NULL, clock BIGINT NOT NULL, CONSTRAINT pk_plot PRIMARY KEY (session, filename, project) ) WITHOUT ROWID;

CREATE INDEX ix_plot_scope ON plot (session, project, filename);

CREATE INDEX ix_plot_current ON plot (session, filename, mtime_ns, project);

CREATE INDEX ix_plot_clock ON plot (clock);

CREATE TABLE session ( session TEXT NOT NULL, plots BIGINT NOT NULL, mtime_ns BIGINT NOT NULL, clock BIGINT NOT NULL, CONSTRAINT pk_session PRIMARY KEY (session) ) WITHOUT ROWID;

CREATE TABLE removal ( clock BIGINT NOT NULL, session TEXT NOT NULL, filename TEXT NOT NULL, project TEXT NOT NULL, CONSTRAINT pk_removal PRIMARY KEY (clock, session, filename, project) ) WITHOUT ROWID;

CREATE TABLE catalogue ( root TEXT NOT NULL, identity TEXT, pattern TEXT NOT NULL, suffixes TEXT NOT NULL, clock BIGINT NOT NULL, born BIGINT NOT NULL, trimmed BIGINT NOT NULL, "ignore" TEXT, CONSTRAINT pk_catalogue PRIMARY KEY (root) );

CREATE TABLE indexer ( host TEXT NOT NULL, pid BIGINT NOT NULL, started DOUBLE NOT NULL, heartbeat DOUBLE NOT NULL, state TEXT NOT NULL, watched BIGINT NOT NULL, watch_limit BIGINT, unwatched BIGINT NOT NULL, reconciled DOUBLE, missed BIGINT, overflows BIGINT NOT NULL, pending BIGINT NOT NULL, replaced BIGINT DEFAULT '0' NOT NULL, missed_folders BIGINT DEFAULT '0' NOT NULL, unreadable BIGINT DEFAULT '0' NOT NULL, odd BIGINT DEFAULT '0' NOT NULL, behind DOUBLE DEFAULT '0' NOT NULL, proven DOUBLE, polled TEXT, measured TEXT, CONSTRAINT pk_indexer PRIMARY KEY (host, pid) );

CREATE TABLE excess ( session TEXT NOT NULL, cut TEXT, plots BIGINT NOT NULL, folders BIGINT NOT NULL, CONSTRAINT pk_excess PRIMARY KEY (session) ) WITHOUT ROWID;

CREATE TABLE name ( id INTEGER NOT NULL, session TEXT NOT NULL, filename TEXT NOT NULL, CONSTRAINT pk_name PRIMARY KEY (id) );

CREATE UNIQUE INDEX ix_name_key ON name (session, filename);

CREATE VIRTUAL TABLE name_trigram USING fts5(filename, content='name', content_rowid='id', tokenize='trigram', detail='none', columnsize=0);

CREATE TABLE trim ( session TEXT NOT NULL, clock BIGINT NOT NULL, CONSTRAINT pk_trim PRIMARY KEY (session) ) WITHOUT ROWID;

CREATE INDEX ix_removal_session ON removal (session, clock);

CREATE TABLE follower ( name TEXT NOT NULL, clock BIGINT NOT NULL, session TEXT NOT NULL, filename TEXT NOT NULL, project TEXT NOT NULL, trimmed BIGINT NOT NULL, round BIGINT NOT NULL, CONSTRAINT pk_follower PRIMARY KEY (name) );

CREATE TABLE facts ( id INTEGER NOT NULL, session TEXT NOT NULL, filename TEXT NOT NULL, project TEXT NOT NULL, version BLOB NOT NULL, digest BLOB NOT NULL, format TEXT NOT NULL, width BIGINT, height BIGINT, frames BIGINT NOT NULL, dpi DOUBLE, flags TEXT NOT NULL, gone BIGINT, picture_hash BLOB NOT NULL, metadata BLOB NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, CONSTRAINT pk_facts PRIMARY KEY (id) );

CREATE UNIQUE INDEX ix_facts_copy ON facts (session, filename, project);

CREATE INDEX ix_facts_digest ON facts (digest, session);

CREATE INDEX ix_facts_gone ON facts (gone) WHERE gone IS NOT NULL;

CREATE TABLE uninspected ( session TEXT NOT NULL, filename TEXT NOT NULL, project TEXT NOT NULL, due BIGINT NOT NULL, turn TEXT NOT NULL, CONSTRAINT pk_uninspected PRIMARY KEY (session, filename, project) ) WITHOUT ROWID;

CREATE INDEX ix_uninspected_turn ON uninspected (turn, due);

CREATE TABLE inspection ( host TEXT NOT NULL, updated DOUBLE NOT NULL, waiting BIGINT NOT NULL, pace DOUBLE NOT NULL, problem TEXT NOT NULL, CONSTRAINT pk_inspection PRIMARY KEY (host) );

CREATE VIRTUAL TABLE facts_trigram USING fts5(title, text, content='facts', content_rowid='id', tokenize='trigram', detail='none', columnsize=0);

INSERT INTO follower VALUES ('names', 0, '', '', '', 0, 0);

INSERT INTO follower VALUES ('inspection', 0, '', '', '', 0, 0)
