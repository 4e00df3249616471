"""The breaks: one line of the package each, and the tests that have to notice it."""

from typing import NamedTuple


class Break(NamedTuple):
    """`before` stands once in `path` below `seclink/`, and becomes `after`; `tests` are arguments of pytest."""

    path: str
    before: str
    after: str
    tests: tuple[str, ...]


RECEIPTS = ("tests/api/test_receipts.py",)
REVEAL, PASSCODE, RATES = ("tests/api/test_reveal.py",), ("tests/api/test_passcode.py",), ("tests/api/test_rates.py",)
STORE, MIDDLEWARE, BODIES = (
    ("tests/unit/test_store.py",),
    ("tests/faults/test_middleware.py",),
    ("tests/unit/test_body_limits.py",),
)
SLOW = ("tests/faults/test_slow.py",)
LIMITER, SHARES = ("tests/unit/test_rate_limiter.py",), ("tests/unit/test_shares.py",)
AUDIT = ("tests/api/test_audit_trail.py", "tests/unit/test_audit.py")
ENVELOPE = ("tests/unit/test_envelope.py", "tests/unit/test_vectors.py")

BREAKS = (
    # Once means once
    Break("store/claims.py", "s.state = 'active' AND s.expires_at > claim", "s.expires_at > claim", STORE),
    Break("store/claims.py", "AND s.access_hash IS claim.value ->> 2", "", STORE),
    Break("store/claims.py", "(s.passcode IS NULL OR s.passcode = claim.value ->> 3)", "1", STORE),
    Break("store/claims.py", "s.expires_at > claim.value ->> 1", "1", STORE),
    Break("store/claims.py", "s.views + 1, s.max_views", "s.views, s.max_views", STORE),
    Break("store/claims.py", "SET views = views + 1", "SET views = views", STORE),
    Break("store/claims.py", "passcode_attempts.refund(db, view.id, claim.client)", "pass", STORE),
    Break("domain/vault.py", "retry_key, proof.access, proof.passcode_hash)", "retry_key, proof.access)", REVEAL),
    Break("domain/vault.py", "(link_id, retry_key, proof.access", "(retry_key, proof.access", REVEAL),
    Break("domain/vault.py", "peek is None or peek.state is State.BURNED", "peek is None", REVEAL),
    Break("web/secrets.py", "reject_partial(request.scope)", "pass", ("tests/api",)),
    Break("web/fetch_metadata.py", "SPECULATIVE.search(purposes)", "False", ("tests/api/test_reveal.py",)),
    # Passcodes
    Break("domain/release_checks.py", "if peek.access_hash is not None or proof.access", "if peek.access_hash", REVEAL),
    Break("domain/release_checks.py", '"passcode_wrong", now, by=actor.account)', '"passcode_wrong", now)', AUDIT),
    Break(
        "store/passcode_attempts.py",
        "counted.tries, total.remaining() - 1)",
        "counted.tries, total.remaining())",
        PASSCODE,
    ),
    Break("store/passcode_attempts.py", "if self.tries >= ATTEMPTS_PER_SECRET else 0", "if False else 0", PASSCODE),
    Break("store/passcode_attempts.py", "if self.needs_key:", "if True:", STORE),
    Break("store/passcode_attempts.py", "if not pauses or rest or", "if not pauses or", STORE),
    Break("store/passcode_attempts.py", "or self.paused_at > now + MAX_PAUSE_MS", "", STORE),
    Break("store/passcode_attempts.py", "PAUSE_MS << min(pauses - 1, 30)", "PAUSE_MS", STORE),
    Break("store/passcode_attempts.py", "self.due_at <= now + _LONGEST_MS", "self.due_at", STORE),
    Break("store/passcode_attempts.py", "_Range(0, self.locks + 1,", "_Range(0, self.locks,", STORE),
    Break("store/passcode_attempts.py", "if needs_key and self.tries else now", "", STORE),
    Break("store/passcode_attempts.py", "max(now, more.until(needs_key=False)) + REMEMBERED_MS", "now", STORE),
    Break("store/passcode_attempts.py", "iif((passcode_tries + 1) % ?, paused_at, ?)", "iif(?, ?, 0)", STORE),
    Break("store/passcode_attempts.py", "WHERE due_at <= ? OR due_at > ?", "WHERE due_at <= ? AND ? > 0", STORE),
    Break("store/edits.py", "if is_unlock:", "if False:", STORE),
    Break("store/edits.py", "if not all(add_event(db, id, type, now) for type in events):", "if False:", STORE),
    Break("domain/policy.py", "int(config.expiry.max) - age_seconds)", "int(config.expiry.max))", RECEIPTS),
    Break("domain/release_checks.py", "if not attempt.attempts_left:", "if False:", PASSCODE),
    Break("store/writes.py", "passcode_attempts.forget(db, now)", "pass", STORE),
    Break("domain/shares.py", "if not self.take(holder, amount):", "if False:", PASSCODE),
    # Limits
    Break("web/middleware.py", "response.body.release()", "pass", BODIES),
    Break("web/middleware.py", "self.requests.add(holder, -1)", "pass", BODIES),
    Break("web/middleware.py", "or len(headers) > self._max_headers", "", MIDDLEWARE),
    Break(
        "web/body_limits.py", "self._deadline += size / self._budget.min_rate", "pass", ("tests/faults/test_slow.py",)
    ),
    Break("web/body_limits.py", "not 0 <= self._length <= SMALL_BYTES", "False", SLOW),
    Break("server/connection.py", "if self._received > self.limits.header_bytes:", "if False:", MIDDLEWARE),
    Break("server/connection.py", "elif len(self.pipeline) >= MAX_PIPELINED:", "elif False:", MIDDLEWARE),
    Break("web/admission.py", "            if _address(hop) is None:\n                return peer\n", "", RATES),
    Break("web/admission.py", 'f"{number >> 64:x}/64"', 'f"{number:x}/64"', RATES),
    Break("domain/rate_limiter.py", "else (name, ())", "else (key, places)", LIMITER),
    Break(
        "domain/shares.py", "+ amount > self._max_by_subnet", "+ amount > self.capacity", ("tests/unit/test_shares.py",)
    ),
    Break("store/write_connection.py", "self.max_bytes // ANONYMOUS_PARTS if is_anonymous", "0 if is_anonymous", RATES),
    # Erasure
    Break("store/connection.py", '"secure_delete": 1', '"secure_delete": 0', ("tests/faults/test_erasure.py",)),
    Break("store/connection.py", '"synchronous": 2', '"synchronous": 1', ("tests/faults/test_power_loss.py",)),
    Break("store/writes.py", "peeked_at IS NULL AND state = 'active'", "peeked_at IS NULL", STORE),
    # Cryptography
    Break("format/envelope.py", "PBKDF2_ROUNDS = 600_000", "PBKDF2_ROUNDS = 600_001", ENVELOPE),
)
