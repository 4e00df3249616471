"""The tables, as migrations: append-only, `PRAGMA user_version` counts how many have run.

A payload lives in a table of its own, so that erasing one frees whole pages and looking at receipts reads none of them.
`due_at` is the one instant the reaper goes by: when a live secret expires, or when an ended one is to be forgotten.
Nothing is immortal: no instant may be missing, and a secret's end lies behind its beginning.
"""

APPLICATION_ID = 0x5365634C  # "SecL": tells our file from somebody else's

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE secrets (
        id INTEGER PRIMARY KEY,
        link_id TEXT NOT NULL UNIQUE,
        receipt_id TEXT NOT NULL UNIQUE,
        manage_digest BLOB NOT NULL,
        account TEXT,
        state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'revealed', 'burned', 'expired')),
        format TEXT NOT NULL,
        expiry_type TEXT NOT NULL,
        created_at INTEGER NOT NULL CHECK (created_at > 0),
        expires_at INTEGER NOT NULL CHECK (expires_at > created_at),
        ended_at INTEGER CHECK ((state = 'active') = (ended_at IS NULL)),
        due_at INTEGER NOT NULL CHECK (due_at > created_at),
        max_views INTEGER CHECK (max_views > 0),
        views INTEGER NOT NULL DEFAULT 0 CHECK (views >= 0 AND (max_views IS NULL OR views <= max_views)),
        access_hash TEXT,
        passcode TEXT,
        passcode_required INTEGER NOT NULL,
        passcode_tries INTEGER NOT NULL DEFAULT 0,
        public_note TEXT,
        label TEXT,
        peeked_at INTEGER
    ) STRICT;
    CREATE INDEX secrets_by_due_at ON secrets (due_at);
    CREATE INDEX secrets_by_account ON secrets (account, id) WHERE account IS NOT NULL;

    CREATE TABLE payloads (
        id INTEGER PRIMARY KEY REFERENCES secrets ON DELETE CASCADE,
        iv BLOB NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;

    CREATE TABLE events (
        secret INTEGER NOT NULL REFERENCES secrets ON DELETE CASCADE,
        at INTEGER NOT NULL,
        type TEXT NOT NULL,
        reason TEXT
    ) STRICT;
    CREATE INDEX events_by_secret ON events (secret);

    CREATE TABLE attempts (
        secret INTEGER NOT NULL REFERENCES secrets ON DELETE CASCADE,
        client BLOB NOT NULL,
        since INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        PRIMARY KEY (secret, client)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE purged (
        account TEXT PRIMARY KEY,
        total INTEGER NOT NULL,
        revealed INTEGER NOT NULL,
        burned INTEGER NOT NULL,
        expired INTEGER NOT NULL,
        views INTEGER NOT NULL,
        with_passcode INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE api_keys (
        digest BLOB PRIMARY KEY,
        prefix TEXT NOT NULL,
        account TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        rate_count INTEGER,
        rate_seconds INTEGER,
        revoked_at INTEGER
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        clock_mark INTEGER NOT NULL,
        salt BLOB NOT NULL
    ) STRICT;
    INSERT INTO meta VALUES (1, 1, randomblob(16));
    """,
)
