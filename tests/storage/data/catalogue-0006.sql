BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0006');
CREATE TABLE catalogue (
	root TEXT NOT NULL, 
	identity TEXT, 
	pattern TEXT NOT NULL, 
	suffixes TEXT NOT NULL, 
	clock BIGINT NOT NULL, 
	born BIGINT NOT NULL, 
	trimmed BIGINT NOT NULL, "ignore" TEXT, 
	CONSTRAINT pk_catalogue PRIMARY KEY (root)
);
INSERT INTO "catalogue" VALUES('/srv/plots','ext4:2','project_*','.gif .jpeg .jpg .png .svg .webp',1795437933500722,1795437933500720,1795437933500720,'.[!.]* __MACOSX @eaDir lost+found');
CREATE TABLE excess (
	session TEXT NOT NULL, 
	cut TEXT, 
	plots BIGINT NOT NULL, 
	folders BIGINT NOT NULL, 
	CONSTRAINT pk_excess PRIMARY KEY (session)
)
 WITHOUT ROWID

;
CREATE TABLE indexer (
	host TEXT NOT NULL, 
	pid BIGINT NOT NULL, 
	started DOUBLE NOT NULL, 
	heartbeat DOUBLE NOT NULL, 
	state TEXT NOT NULL, 
	watched BIGINT NOT NULL, 
	watch_limit BIGINT, 
	unwatched BIGINT NOT NULL, 
	reconciled DOUBLE, 
	missed BIGINT, 
	overflows BIGINT NOT NULL, 
	pending BIGINT NOT NULL, replaced BIGINT DEFAULT '0' NOT NULL, missed_folders BIGINT DEFAULT '0' NOT NULL, unreadable BIGINT DEFAULT '0' NOT NULL, odd BIGINT DEFAULT '0' NOT NULL, behind DOUBLE DEFAULT '0' NOT NULL, proven DOUBLE, polled TEXT, measured TEXT, 
	CONSTRAINT pk_indexer PRIMARY KEY (host, pid)
);
INSERT INTO "indexer" VALUES('host',7,1.5,2.5,'stopped',3,4,0,2.0,0,1,0,0,0,0,0,0.0,NULL,NULL,NULL);
CREATE TABLE plot (
	session TEXT NOT NULL, 
	filename TEXT NOT NULL, 
	project TEXT NOT NULL, 
	size BIGINT NOT NULL, 
	mtime_ns BIGINT NOT NULL, 
	ctime_ns BIGINT NOT NULL, 
	inode BIGINT NOT NULL, 
	clock BIGINT NOT NULL, 
	CONSTRAINT pk_plot PRIMARY KEY (session, filename, project)
)
 WITHOUT ROWID

;
INSERT INTO "plot" VALUES('first','hist.png','project_a',1,1700000000123456789,1795437917442535362,2695178,1795437933500721);
INSERT INTO "plot" VALUES('first','hist.png','project_b',2,1700000000123456790,1795437917442692656,2695180,1795437933500721);
INSERT INTO "plot" VALUES('first','sub/deep.svg','project_b',6,1700000000123456791,1795437917442818193,2695182,1795437933500721);
INSERT INTO "plot" VALUES('second','100%.png','project_a',1,1700000000123456792,1795437917442975126,2695186,1795437933500721);
INSERT INTO "plot" VALUES('second','a
b.png','project_a',1,1700000000123456793,1795437917443087223,2695189,1795437933500721);
INSERT INTO "plot" VALUES('séance ‮','quo''te".GIF','project_x y',1,1700000000123456794,1795437917443240811,2695192,1795437933500721);
CREATE TABLE removal (
	clock BIGINT NOT NULL, 
	session TEXT NOT NULL, 
	filename TEXT NOT NULL, 
	project TEXT NOT NULL, 
	CONSTRAINT pk_removal PRIMARY KEY (clock, session, filename, project)
)
 WITHOUT ROWID

;
INSERT INTO "removal" VALUES(1795437933500722,'gone','was.png','project_a');
CREATE TABLE session (
	session TEXT NOT NULL, 
	plots BIGINT NOT NULL, 
	mtime_ns BIGINT NOT NULL, 
	clock BIGINT NOT NULL, 
	CONSTRAINT pk_session PRIMARY KEY (session)
)
 WITHOUT ROWID

;
INSERT INTO "session" VALUES('first',3,1700000000123456791,1795437933500721);
INSERT INTO "session" VALUES('second',2,1700000000123456793,1795437933500721);
INSERT INTO "session" VALUES('séance ‮',1,1700000000123456794,1795437933500721);
CREATE TABLE trim (
	session TEXT NOT NULL, 
	clock BIGINT NOT NULL, 
	CONSTRAINT pk_trim PRIMARY KEY (session)
)
 WITHOUT ROWID

;
INSERT INTO "trim" VALUES('second',1795437933500720);
CREATE INDEX ix_removal_session ON removal (session, clock);
CREATE INDEX ix_plot_scope ON plot (session, project, filename);
CREATE INDEX ix_plot_current ON plot (session, filename, mtime_ns, project);
CREATE INDEX ix_plot_clock ON plot (clock);
CREATE TABLE name (
	id INTEGER NOT NULL, 
	session TEXT NOT NULL, 
	filename TEXT NOT NULL, 
	CONSTRAINT pk_name PRIMARY KEY (id)
);
CREATE UNIQUE INDEX ix_name_key ON name (session, filename);
CREATE TABLE searched (
	clock BIGINT NOT NULL, 
	session TEXT NOT NULL, 
	filename TEXT NOT NULL, 
	trimmed BIGINT NOT NULL, 
	outdated BIGINT NOT NULL, 
	CONSTRAINT pk_searched PRIMARY KEY (clock)
);
CREATE VIRTUAL TABLE name_trigram USING fts5(filename, content='name', content_rowid='id', tokenize='trigram', detail='none', columnsize=0);
INSERT INTO "name" VALUES(1,'first','hist.png');
INSERT INTO "name" VALUES(2,'first','sub/deep.svg');
INSERT INTO "name" VALUES(3,'second','100%.png');
INSERT INTO "name" VALUES(4,'second','a
b.png');
INSERT INTO "name" VALUES(5,'séance ‮','quo''te".GIF');
INSERT INTO "searched" VALUES(1795437933500723,'','',1795437933500720,0);
INSERT INTO name_trigram(rowid, filename) SELECT id, filename FROM name;
COMMIT;
