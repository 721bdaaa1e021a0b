PRAGMA application_id = 1952540519;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE failures (
    path BLOB NOT NULL, fingerprint TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    decoders TEXT NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (path, fingerprint)
) WITHOUT ROWID;
INSERT INTO "failures" VALUES(CAST('LIBRARY/broken.mp3' AS BLOB),'e42b7a02d30afdf9',16,1767323045900000000,'soundfile 0.14.0, av 18.1.0, /usr/bin/ffmpeg, 120 s','no decoder can read it (soundfile: Format not recognised; PyAV: Invalid data found when processing input; pydub: FFmpeg finds no audio in it)');
CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER NOT NULL REFERENCES runs, path BLOB NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL,
    old_size INTEGER NOT NULL, old_mtime_ns INTEGER NOT NULL,
    new_size INTEGER NOT NULL, new_mtime_ns INTEGER NOT NULL,
    undone_by INTEGER REFERENCES runs
, reverts INTEGER REFERENCES journal);
INSERT INTO "journal" VALUES(1,1,CAST('LIBRARY/01 Porch Shuffle.mp3' AS BLOB),'{"values": {}, "has_tags": true}','["Reggae"]',71798,1795881933107746427,71798,1795881926270246721,3,NULL);
INSERT INTO "journal" VALUES(2,1,CAST('LIBRARY/02 Quiet Fugue.flac' AS BLOB),'{"values": {}, "has_tags": true}','["Jazz"]',141606,1767323045026789000,141606,1795881926314688277,NULL,NULL);
INSERT INTO "journal" VALUES(3,1,CAST('LIBRARY/04 Mirror Ball.m4a' AS BLOB),'{"values": {}, "has_tags": true}','["Blues"]',75393,1767323045046789000,75393,1795881926351563307,NULL,NULL);
INSERT INTO "journal" VALUES(4,2,CAST('LIBRARY/02 Quiet Fugue.flac' AS BLOB),'{"values": {"GENRE": ["Jazz"]}, "has_tags": true}','["Baroque", "Organ"]',141606,1795881926314688277,141606,1795881931539295132,NULL,NULL);
INSERT INTO "journal" VALUES(5,3,CAST('LIBRARY/01 Porch Shuffle.mp3' AS BLOB),'{"values": {"TCON": ["Reggae"]}, "has_tags": true}','[]',71798,1795881926270246721,71798,1795881933107746427,NULL,1);
CREATE TABLE models (fingerprint TEXT PRIMARY KEY, name TEXT NOT NULL, labels TEXT NOT NULL, multi_label INTEGER NOT NULL DEFAULT 0);
INSERT INTO "models" VALUES('e42b7a02d30afdf9','gtzan-small','["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock"]',0);
CREATE TABLE predictions (
    path BLOB NOT NULL, fingerprint TEXT NOT NULL, plan TEXT NOT NULL,
    size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    probabilities BLOB NOT NULL, agreement REAL NOT NULL,
    windows INTEGER NOT NULL, seconds REAL NOT NULL,
    PRIMARY KEY (path, fingerprint, plan)
) WITHOUT ROWID;
INSERT INTO "predictions" VALUES(CAST('LIBRARY/01 Porch Shuffle.mp3' AS BLOB),'e42b7a02d30afdf9','auto1x41200@16000',71798,1795881933107746427,X'5B1E2D3EF7CF053DF162C13CC98A6E3DDC51703C63EEEE3C1C00223CCE33BF3CB48A203FD3A5483C',1.0,3,10.0);
INSERT INTO "predictions" VALUES(CAST('LIBRARY/02 Quiet Fugue.flac' AS BLOB),'e42b7a02d30afdf9','auto1x41200@16000',141606,1795881931539295132,X'7822213EEA7A773E52EA9A3D245D3C3DD241CF3CC5C09B3EDAFCD13C16E0B43D05E9B43CF5F9613C',0.5,4,10.0);
INSERT INTO "predictions" VALUES(CAST('LIBRARY/03 Back Road.ogg' AS BLOB),'e42b7a02d30afdf9','auto1x41200@16000',60969,1767323045036789000,X'C061EF3C6CD8983C3279E03C21507D3DC4CDB63C2A99AA3CCB4C273CD30D163D991D423FCFA06F3C',1.0,3,10.0);
INSERT INTO "predictions" VALUES(CAST('LIBRARY/04 Mirror Ball.m4a' AS BLOB),'e42b7a02d30afdf9','auto1x41200@16000',75393,1795881926351563307,X'3C92093F2D818E3CB2D8E73CDE882F3D4246F13C1E00DB3C38B94F3CB3542F3E16DBEF3D10188A3C',1.0,3,1.00464399092970513294e+01);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL, started TEXT NOT NULL, model TEXT NOT NULL
);
INSERT INTO "runs" VALUES(1,'tag','2026-11-28T16:05:25+00:00','gtzan-small');
INSERT INTO "runs" VALUES(2,'apply','2026-11-28T16:05:30+00:00','e.csv');
INSERT INTO "runs" VALUES(3,'undo','2026-11-28T16:05:32+00:00','');
CREATE TABLE tags (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
    ctime_ns INTEGER NOT NULL, info TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "tags" VALUES(CAST('LIBRARY/01 Porch Shuffle.mp3' AS BLOB),71798,1795881933107746427,1795881933132517477,'{"genres": [], "note": "", "album": "Test Tones", "album_artist": "", "artist": "The Oscillators", "compilation": false}');
INSERT INTO "tags" VALUES(CAST('LIBRARY/02 Quiet Fugue.flac' AS BLOB),141606,1795881931539295132,1795881931556100583,'{"genres": ["Baroque", "Organ"], "note": "", "album": "Test Tones", "album_artist": "", "artist": "The Oscillators", "compilation": false}');
INSERT INTO "tags" VALUES(CAST('LIBRARY/03 Back Road.ogg' AS BLOB),60969,1767323045036789000,1795881905410108772,'{"genres": ["Country"], "note": "", "album": "Test Tones", "album_artist": "", "artist": "The Oscillators", "compilation": false}');
INSERT INTO "tags" VALUES(CAST('LIBRARY/04 Mirror Ball.m4a' AS BLOB),75393,1795881926351563307,1795881926358900323,'{"genres": ["Blues"], "note": "", "album": "Test Tones", "album_artist": "", "artist": "The Oscillators", "compilation": false}');
CREATE INDEX journal_by_path ON journal (path);
CREATE INDEX journal_by_run ON journal (run)
;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',3);
INSERT INTO "sqlite_sequence" VALUES('journal',5);
COMMIT;
