"""The tables, as migrations: append-only, `PRAGMA user_version` counts how many have run.

A payload has a table of its own, so that erasing it frees whole pages and reading receipts touches none of them.
`due_at` is the instant the reaper looks at: when a live secret expires, or when an ended one is to be forgotten.

What belongs together is one statement for the writer. A new secret is inserted with its payload and its entry in the
audit trail (view `arrivals`). An ended secret loses its payload and passcode attempts (trigger `secrets_erase`), and a
CHECK forbids it a note or a hash, however it was ended.

No secret is without an end: every instant is NOT NULL, and a CHECK puts the expiry after the creation.
"""

# The settings of the file that the padding of payloads goes by. They last as long as the file.
LAYOUT: dict[str, int | str] = {"page_size": 4096, "auto_vacuum": 0, "encoding": "UTF-8"}
APPLICATION_ID = 0x5365634C  # "SecL": tells our files from those of other programs

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
        bytes INTEGER NOT NULL DEFAULT 0 CHECK (bytes >= 0),
        public_note TEXT,
        label TEXT,
        peeked_at INTEGER,
        CHECK (state = 'active' OR coalesce(access_hash, passcode, public_note, label) IS NULL)
    ) STRICT;
    CREATE INDEX secrets_by_due_at ON secrets (due_at);
    CREATE INDEX secrets_by_account ON secrets (account, id) WHERE account IS NOT NULL;

    CREATE TABLE payloads (
        id INTEGER PRIMARY KEY REFERENCES secrets ON DELETE CASCADE,
        iv BLOB NOT NULL,
        payload BLOB NOT NULL
    ) STRICT;

    CREATE VIEW arrivals AS SELECT secrets.*, NULL AS iv, NULL AS payload FROM secrets WHERE 0; -- a way in, not out
    CREATE TRIGGER arrivals_split INSTEAD OF INSERT ON arrivals WHEN new.id IS NOT NULL BEGIN
        INSERT INTO secrets (id, link_id, receipt_id, manage_digest, account, format, expiry_type, created_at,
                             expires_at, due_at, max_views, access_hash, passcode, passcode_required, public_note,
                             label, bytes)
        VALUES (new.id, new.link_id, new.receipt_id, new.manage_digest, new.account, new.format, new.expiry_type,
                new.created_at, new.expires_at, new.due_at, new.max_views, new.access_hash, new.passcode,
                new.passcode_required, new.public_note, new.label, new.bytes);
        INSERT INTO payloads (id, iv, payload) VALUES (new.id, new.iv, new.payload);
    END;

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

    CREATE TRIGGER secrets_erase AFTER UPDATE OF state ON secrets WHEN new.state <> 'active' BEGIN
        DELETE FROM payloads WHERE id = new.id;
        DELETE FROM attempts WHERE secret = new.id;
    END;

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
    # Version 1 above was changed six times under the same number. From version 2 on, a file is known to have these
    # tables; `migrate.migrate_v1_variants` brings the earlier variants here.
    "",
    # The audit trail begins with a digest that no other database has. The last pruned entry keeps its digest.
    """
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        entry TEXT,
        digest TEXT NOT NULL
    ) STRICT;
    INSERT INTO audit VALUES (0, NULL, lower(hex(randomblob(32))));
    CREATE TRIGGER audit_stays BEFORE UPDATE ON audit
    WHEN new.entry IS NOT NULL OR new.seq <> old.seq OR new.digest <> old.digest BEGIN
        SELECT RAISE(ABORT, 'what the audit trail says stays as it is');
    END;

    DROP VIEW arrivals;
    CREATE VIEW arrivals AS
        SELECT secrets.*, NULL AS iv, NULL AS payload, NULL AS seq, NULL AS entry, NULL AS digest FROM secrets WHERE 0;
    CREATE TRIGGER arrivals_split INSTEAD OF INSERT ON arrivals WHEN new.id IS NOT NULL BEGIN
        INSERT INTO secrets (id, link_id, receipt_id, manage_digest, account, format, expiry_type, created_at,
                             expires_at, due_at, max_views, access_hash, passcode, passcode_required, public_note,
                             label, bytes)
        VALUES (new.id, new.link_id, new.receipt_id, new.manage_digest, new.account, new.format, new.expiry_type,
                new.created_at, new.expires_at, new.due_at, new.max_views, new.access_hash, new.passcode,
                new.passcode_required, new.public_note, new.label, new.bytes);
        INSERT INTO payloads (id, iv, payload) VALUES (new.id, new.iv, new.payload);
        INSERT INTO audit (seq, entry, digest) VALUES (new.seq, new.entry, new.digest);
    END;
    """,
    # Files. An upload is one file in a folder beside the database (`chunk_files`), `received` the bitmap of its chunks,
    # `outstanding` the number of secrets that may still be attached. It ends at `due_at` for those.
    """
    CREATE TABLE uploads (
        id INTEGER PRIMARY KEY,
        upload_id TEXT NOT NULL UNIQUE,
        token_digest BLOB NOT NULL,
        file TEXT NOT NULL UNIQUE,
        account TEXT,
        size INTEGER NOT NULL CHECK (size > 0),
        plain_bytes INTEGER NOT NULL CHECK (plain_bytes > 0),
        received BLOB NOT NULL,
        stored_bytes INTEGER NOT NULL DEFAULT 0 CHECK (stored_bytes BETWEEN 0 AND size),
        outstanding INTEGER NOT NULL CHECK (outstanding >= 0),
        created_at INTEGER NOT NULL CHECK (created_at > 0),
        due_at INTEGER NOT NULL CHECK (due_at > created_at)
    ) STRICT;

    CREATE TABLE attachments (
        secret INTEGER PRIMARY KEY REFERENCES secrets ON DELETE CASCADE,
        upload INTEGER REFERENCES uploads ON DELETE SET NULL,
        size INTEGER NOT NULL CHECK (size > 0)
    ) STRICT;
    CREATE INDEX attachments_by_upload ON attachments (upload) WHERE upload IS NOT NULL;

    CREATE TABLE grants (
        digest BLOB PRIMARY KEY,
        secret INTEGER NOT NULL REFERENCES attachments ON DELETE CASCADE,
        expires_at INTEGER NOT NULL CHECK (expires_at > 0),
        ended_at INTEGER,
        started_at INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX grants_by_secret ON grants (secret);
    """,
    # Passcode attempts where no proof of key is needed: a range is locked for longer each time, and everybody pauses.
    """
    ALTER TABLE secrets ADD COLUMN paused_at INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE attempts ADD COLUMN locks INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE attempts ADD COLUMN due_at INTEGER NOT NULL DEFAULT 0;
    UPDATE attempts SET due_at = since + 600000;
    """,
)
