-- Cursors were the first things to be remembered by name; more have come.

CREATE TABLE memo (
    name TEXT PRIMARY KEY,
    text TEXT NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO memo (name, text) SELECT 'cursor/' || name, CAST(at AS TEXT) FROM cursor;

DROP TABLE cursor;
