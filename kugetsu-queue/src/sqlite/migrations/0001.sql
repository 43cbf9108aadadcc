-- Documents are the truth; the columns beside them are what questions are asked by.

CREATE TABLE task (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of first commits
    id TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    lane TEXT NOT NULL,
    issue TEXT,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    open INTEGER NOT NULL,
    head INTEGER NOT NULL, -- whether it is the first open one of its lane
    due_boot TEXT,
    due_tick INTEGER,
    due_wall INTEGER,
    document TEXT NOT NULL
) STRICT;

-- Settled tasks and those that wait behind another one of their lane are in neither of these, so
-- that what they answer costs the same however many there are.
CREATE INDEX task_ready ON task (priority DESC, seq, due_boot, due_tick, due_wall) WHERE head = 1;
CREATE UNIQUE INDEX task_head ON task (lane) WHERE head = 1;
CREATE INDEX task_open ON task (lane, seq) WHERE open = 1;

CREATE INDEX task_issue ON task (issue, seq) WHERE issue IS NOT NULL;
CREATE INDEX task_status ON task (status, seq);

CREATE TABLE event (
    cursor INTEGER PRIMARY KEY AUTOINCREMENT,
    document TEXT NOT NULL
) STRICT;

CREATE TABLE session (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL UNIQUE,
    revision INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;

CREATE TABLE notice (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    unread INTEGER NOT NULL,
    document TEXT NOT NULL
) STRICT;

CREATE INDEX notice_unread ON notice (seq) WHERE unread = 1;

CREATE TABLE cursor (
    name TEXT PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT;
