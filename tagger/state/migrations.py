"""The tables of the state file, and the script that makes each version out of the one before."""

# Paths are stored as bytes, because file names need not be text.
TABLES = """
CREATE TABLE models (fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL);
CREATE TABLE predictions (
    path BLOB NOT NULL, fingerprint TEXT NOT NULL, plan TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    probabilities BLOB NOT NULL, agreement REAL NOT NULL,
    windows INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (path, fingerprint, plan)
) WITHOUT ROWID;
CREATE TABLE failures (
    path BLOB NOT NULL, fingerprint TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    decoders TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (path, fingerprint)
) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, started TEXT NOT NULL, model TEXT NOT NULL
);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs, path BLOB NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL,
    old_size INTEGER NOT NULL, old_mtime_ns INTEGER NOT NULL,
    new_size INTEGER NOT NULL, new_mtime_ns INTEGER NOT NULL,
    undone_by INTEGER REFERENCES runs
);
CREATE INDEX journal_by_path ON journal (path);
CREATE INDEX journal_by_run ON journal (run)
"""
# The content of tags is remembered; an undo names the change that it reverts, and can be undone.
# Undos of version 1 do not record which genres they left ('null'). If one was killed before it
# marked the change it reverted, its old size and time match that change's new ones.
TAGS_AND_REVERTS = """
ALTER TABLE models ADD COLUMN multi_label INTEGER NOT NULL DEFAULT 0;
CREATE TABLE tags (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL, info TEXT NOT NULL
) WITHOUT ROWID;
ALTER TABLE journal ADD COLUMN reverts INTEGER REFERENCES journal;
UPDATE journal SET after = 'null', reverts = coalesce((
    SELECT id FROM journal AS change
    WHERE change.path = journal.path AND change.undone_by = journal.run
), (
    SELECT max(id) FROM journal AS change
    WHERE change.path = journal.path AND change.id < journal.id AND change.undone_by IS NULL
    AND change.new_size = journal.old_size AND change.new_mtime_ns = journal.old_mtime_ns
    AND change.run IN (SELECT id FROM runs WHERE kind = 'tag')
)) WHERE run IN (SELECT id FROM runs WHERE kind = 'undo')
"""
# Rows get the fingerprint of the file's audio when a run next sees it unchanged; see `tags`.
# Tags are read again, since more of them are understood. Nothing ever read the labels of models.
# Windows of a Musepack file were read from the wrong places.
# The last run's failures and unsure tracks ("failed", "unsure") are old news to the next one.
AUDIO = """
ALTER TABLE predictions ADD COLUMN audio BLOB;
ALTER TABLE failures ADD COLUMN audio BLOB;
ALTER TABLE journal ADD COLUMN audio BLOB;
ALTER TABLE runs ADD COLUMN folders TEXT NOT NULL DEFAULT '[]';
CREATE INDEX predictions_by_audio ON predictions (audio);
CREATE INDEX failures_by_audio ON failures (audio);
CREATE INDEX journal_by_audio ON journal (audio);
DROP TABLE models;
CREATE TABLE reported (
    path BLOB NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL, audio BLOB,
    PRIMARY KEY (path, kind)
) WITHOUT ROWID;
CREATE INDEX reported_by_audio ON reported (audio);
DELETE FROM predictions WHERE lower(CAST(path AS TEXT)) LIKE '%.mpc';
DELETE FROM tags
"""
# Tracks whose channels cancel each other were taken for silent.
NOTES = """
ALTER TABLE predictions ADD COLUMN note TEXT NOT NULL DEFAULT '';
DELETE FROM predictions WHERE probabilities = zeroblob(length(probabilities))
"""
# What a person decided, as long as the change that wrote it is not undone; see `decisions.py`. One
# that left the file as it was has no entry in the journal.
DECISIONS = """
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, path BLOB NOT NULL, audio BLOB, genres TEXT NOT NULL,
    kind TEXT NOT NULL, decided TEXT NOT NULL, run INTEGER NOT NULL REFERENCES runs,
    entry INTEGER REFERENCES journal, undone_by INTEGER REFERENCES runs
);
CREATE INDEX decisions_by_path ON decisions (path);
CREATE INDEX decisions_by_audio ON decisions (audio);
CREATE INDEX decisions_by_entry ON decisions (entry)
"""
# The precision that a prediction was computed in; that of earlier ones is not known.
# The tracks that a run was asked to predict again, and has not yet ("again").
PRECISION = """
ALTER TABLE predictions ADD COLUMN precision TEXT NOT NULL DEFAULT '';
CREATE TABLE again (
    path BLOB NOT NULL, fingerprint TEXT NOT NULL, plan TEXT NOT NULL,
    PRIMARY KEY (path, fingerprint, plan)
) WITHOUT ROWID
"""
# The script from each version to the next.
MIGRATIONS = (TABLES, TAGS_AND_REVERTS, AUDIO, NOTES, f"{DECISIONS};{PRECISION}")
