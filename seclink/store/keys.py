"""The statements that change the API keys. Like `writes`, in a transaction of the caller."""

from seclink.model import ApiKey
from seclink.store import reads
from seclink.store.audit_log import AuditedConnection, AuditEntry


def add(db: AuditedConnection, key: ApiKey) -> None:
    rate = (key.rate.count, key.rate.seconds) if key.rate else (None, None)
    db.execute(
        "INSERT INTO api_keys (digest, prefix, account, scopes, created_at, expires_at, rate_count, rate_seconds)"
        " VALUES (?,?,?,?,?,?,?,?)",
        (key.digest, key.prefix, key.account, " ".join(sorted(key.scopes)), key.created_at, key.expires_at, *rate),
    )
    detail = f"{key.prefix}... {','.join(sorted(key.scopes))}"
    db.pending.append(AuditEntry(key.created_at, "key_added", key.account, detail=detail))


def revoke(db: AuditedConnection, prefix: str, now: int) -> tuple[ApiKey, ...]:
    """Revoke the live keys whose shown prefix begins with `prefix`; return them, oldest first."""
    rows = db.execute(
        "UPDATE api_keys SET revoked_at = ?1 WHERE substr(prefix, 1, length(?2)) = ?2 AND revoked_at IS NULL"
        f" RETURNING {reads.KEY_COLUMNS}",
        (now, prefix),
    ).fetchall()
    keys = [reads.key(row) for row in rows]
    db.pending += [AuditEntry(now, "key_revoked", key.account, detail=f"{key.prefix}...") for key in keys]
    return tuple(sorted(keys, key=lambda key: key.created_at))
