"""Every statement that changes the API keys. Like `writes`, inside the writer's transaction."""

from seclink.model import ApiKey
from seclink.store.audit_log import Audited, AuditEntry


def add(db: Audited, key: ApiKey) -> None:
    rate = (key.rate.count, key.rate.seconds) if key.rate else (None, None)
    db.execute(
        "INSERT INTO api_keys (digest, prefix, account, scopes, created_at, expires_at, rate_count, rate_seconds)"
        " VALUES (?,?,?,?,?,?,?,?)",
        (key.digest, key.prefix, key.account, " ".join(sorted(key.scopes)), key.created_at, key.expires_at, *rate),
    )
    detail = f"{key.prefix}... {','.join(sorted(key.scopes))}"
    db.told.append(AuditEntry(key.created_at, "key_added", key.account, detail=detail))


def revoke(db: Audited, prefix: str, now: int) -> list[bytes]:
    rows = db.execute(
        "UPDATE api_keys SET revoked_at = ?"
        " WHERE substr(prefix, 1, length(?)) = ? AND revoked_at IS NULL RETURNING digest, account, prefix",
        (now, prefix, prefix),
    ).fetchall()
    db.told += [AuditEntry(now, "key_revoked", account, detail=f"{shown}...") for _, account, shown in rows]
    return [digest for digest, _, _ in rows]
