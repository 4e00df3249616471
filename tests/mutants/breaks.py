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
STOP, LIMITS = ("tests/faults/test_stop.py",), ("tests/faults/test_resource_limits.py",)
CROWD = ("tests/faults/test_client_shares.py",)
CLI = ("tests/client/test_cli.py", "tests/client/test_cli_end_to_end.py")
DIALECTS = ("tests/dialects/test_transcripts.py", "tests/dialects/test_every_dialect.py")
SHAROKEY, SEECRET = ("tests/dialects/test_sharokey.py",), ("tests/dialects/test_seecret.py",)
ENIGMA = ("tests/dialects/test_enigmacrypt.py",)
READER = ("tests/browser/test_reveal_page.py",)
REFUSED = ("tests/browser/test_reveal_refused.py",)
OPENERS = ("tests/browser/test_openers.py",)
SAVING = ("tests/browser/test_saving_files.py",)

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
    Break("store/edits.py", "if changes.unlock is True:", "if False:", STORE),
    Break("store/edits.py", 'if not add_event(db, id, "changed", now):', "if False:", STORE),
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
    # One connection
    Break("server/connection.py", "elif self._received > self.limits.message_bytes:", "elif False:", MIDDLEWARE + SLOW),
    Break("server/connection.py", "self._received > MAX_DISCARDED_BYTES", "False", MIDDLEWARE + LIMITS + SLOW),
    Break("server/connection.py", "if self._in_head:  # trailers", "if True:  # trailers", MIDDLEWARE),
    Break("server/connection.py", 'self.parser.get_method() == b"CONNECT"', "False", MIDDLEWARE),
    Break("server/connection.py", ' or self.parser.get_http_version() not in ("1.1", "1.0")', "", MIDDLEWARE),
    Break("server/connection.py", 'not self.url.startswith((b"/", b"*"))', "False", MIDDLEWARE),
    Break("server/connection.py", "                current.keep_alive = False\n", "", MIDDLEWARE + STOP + LIMITS),
    Break("server/connection.py", "self.loop.time() + self.limits.idle_seconds", "inf", SLOW + MIDDLEWARE),
    Break("server/connection.py", "if delivered - self._delivered < self.limits.write_rate", "if delivered < 0", SLOW),
    Break("server/connection.py", "self._charge(unsent if unsent > SLOW_BYTES else 0)", "self._charge(0)", CROWD),
    Break(
        "server/connection.py",
        "        self._charge(0)\n        self.deadline",
        "        self.deadline",
        CROWD + SHARES,
    ),
    Break("server/connection.py", 'b"", []  # an error', "self.url, self.headers  # an error", MIDDLEWARE),
    Break(
        "server/connection.py",
        "elif self.write_deadline == inf and now > self.deadline:",
        "elif now > self.deadline:",
        SLOW,
    ),
    Break("server/transport.py", "if self._owner.has_unread():", "if False:", MIDDLEWARE + LIMITS),
    Break(
        "server/transport.py", "            self._transport.write_eof()", "            pass", MIDDLEWARE + SLOW + STOP
    ),
    Break("server/transport.py", "- _unacknowledged(self", "- 0 * _unacknowledged(self", SLOW),
    Break("server/transport.py", 'and not data.startswith(b"HTTP/1.1 1")', "", MIDDLEWARE),
    Break(
        "server/registry.py", "if one.deadline < inf and one is not newcomer", "if one is not newcomer", CROWD + LIMITS
    ),
    Break("server/registry.py", "oldest = min(waiting", "oldest = max(waiting", CROWD + LIMITS),
    Break("server/registry.py", "elif is_over_share:", "elif False:", CROWD),
    Break(
        "server/registry.py",
        "            connection.transport.abort()\n        elif",
        "            pass\n        elif",
        STOP,
    ),
    Break("server/registry.py", "                connection.count_unsent()", "                pass", CROWD),
    # Foreign systems
    Break("dialects/base.py", "    reject_typos(document, kind)\n        return", "    return", DIALECTS),
    Break("dialects/base.py", "if value and name not in known", "if name not in known", DIALECTS),
    Break("dialects/base.py", 'dict.fromkeys(PASSWORD_ALIASES, "password") | optional', "optional", DIALECTS),
    Break("dialects/base.py", "if not receipt.link_id:", "if False:", DIALECTS),
    Break("dialects/base.py", "self.admission.charge_storage(request.actor, len(new.payload))", "pass", DIALECTS),
    Break(
        "dialects/base.py", "if count < TAG_BYTES if exact_bytes is None", "if False if exact_bytes is None", DIALECTS
    ),
    Break("dialects/dispatch.py", "path not in health.PATHS", "True", DIALECTS),
    Break("dialects/dispatch.py", "*retry_headers(error)]", "]", DIALECTS),
    Break("dialects/enigmacrypt.py", "        reject_navigation(request.scope)\n", "", DIALECTS),
    Break("dialects/enigmacrypt.py", "        reject_partial(request.scope)\n", "", DIALECTS),
    Break("dialects/enigmacrypt.py", "% BLOCK_BYTES:", "% 1:", DIALECTS + ENIGMA),
    Break("dialects/enigmacrypt.py", "return min(seconds, max_seconds)", "return seconds", DIALECTS + ENIGMA),
    Break(
        "dialects/enigmacrypt.py",
        "self.admission.enforce_for_key(request, self.name, KEY_RATE)",
        "pass",
        DIALECTS + ENIGMA,
    ),
    Break("dialects/enigmacrypt.py", "if request.actor.account is None:", "if True:", DIALECTS + ENIGMA),
    Break(
        "dialects/enigmacrypt.py",
        "request.actor, self.now(), key)",
        "request.actor, self.now(), None)",
        DIALECTS + ENIGMA,
    ),
    Break("dialects/scrt_link.py", "if not tokens.equal(", "if False and (", DIALECTS),
    Break("dialects/scrt_link.py", "passcode_hash=hash_password(body.password)", "passcode_hash=None", DIALECTS),
    Break("dialects/scrt_link.py", "host is None or host_name", "True or host_name", DIALECTS),
    Break(
        "dialects/sharokey.py",
        "if body.attachments and not self.options.allow_attachments:",
        "if False:",
        DIALECTS + SHAROKEY,
    ),
    Break("dialects/sharokey.py", "or size > MAX_ATTACHED_BYTES", "", DIALECTS + SHAROKEY),
    Break("dialects/sharokey.py", 'query.get("creator", account) == account', "True", DIALECTS + SHAROKEY),
    Break(
        "dialects/sharokey.py", "passcode_hash=hash_password(body.password)", "passcode_hash=None", DIALECTS + SHAROKEY
    ),
    Break("dialects/sharokey.py", "if tokens.DRAWN_ID.fullmatch(slug)", "if True", DIALECTS + SHAROKEY),
    Break("dialects/seecret.py", "self.reject_unsupported(**{name[:64]", "dict(**{name[:64]", DIALECTS + SEECRET),
    Break(
        "dialects/seecret.py", "if scope is not None and not request.actor.may(scope):", "if False:", DIALECTS + SEECRET
    ),
    Break("dialects/seecret.py", "access_hash=keys.access_hash,", "", DIALECTS + SEECRET),
    Break("dialects/seecret.py", "if _encode_key(key) != text:", "if not key:", DIALECTS + SEECRET),
    Break(
        "dialects/seecret.py",
        "replace(edit, access=keys.access, **sealed)",
        "replace(edit, **sealed)",
        DIALECTS + SEECRET,
    ),
    Break("dialects/seecret.py", "            split_link=members.split_link > 1,\n", "", DIALECTS + SEECRET),
    # Command line
    Break("cli/terminal.py", "character not in _REORDERING and", "", CLI),
    Break("cli/terminal.py", 'data.count(b"\\n") == 1 and', "", CLI),
    Break("cli/terminal.py", "silent[3] &= ~termios.ECHO", "pass", CLI),
    Break("cli/profile.py", 'if token["expiresAt"] > oldest', "", CLI),
    Break("cli/profile.py", "min(created_at_ms, self._now)", "self._now", CLI),
    Break("cli/profile.py", "fcntl.flock(lock, fcntl.LOCK_EX)", "pass", CLI),
    Break("cli/profile.py", "            os.fsync(file.fileno())\n", "", CLI),
    Break("cli/receipts.py", "or not is_at(at.server, link.base)", "", CLI),
    Break("cli/receipts.py", "[:MAX_TRIED_TOKENS]", "", CLI),
    Break("cli/receipts.py", "if _BARE_LINK.match(text):", "if False:", CLI),
    Break("cli/receipts.py", "printable(cell) for cell", "cell for cell", CLI),
    Break("cli/login.py", "printable(', '.join(account.scopes))", "', '.join(account.scopes)", CLI),
    Break("cli/login.py", "client.get_account() if key else None", "None", CLI),
    Break("cli/error_text.py", "lines = [printable(_line(fault, options))", "lines = [(_line(fault, options))", CLI),
    Break("cli/keys.py", 'if len(prefix) < len("sk_live_") + 4:', "if False:", CLI),
    Break("cli/keys.py", "if not revoked:", "if False:", CLI),
    # The reader's page
    Break(
        "static/js/reveal.js", 'if (state.phase === "opened" && link && link.linkId', "if (link && link.linkId", READER
    ),
    Break("static/js/reveal.js", 'if (turn !== state.turn) return;\n    enter("offered"', 'enter("offered"', READER),
    Break("static/js/reveal.js", "state.link !== link || state.phase !== phase", "false", READER + REFUSED),
    Break("static/js/reveal.js", "if (!state.response) return; // wiped", "// wiped", READER),
    Break("static/js/reveal.js", "  removeKey(); // only now", "  // only now", READER),
    Break("static/js/reveal.js", '  field("passcode").value = "";\n  showOpened', "  showOpened", READER),
    Break("static/js/reveal.js", "state.pending?.proof !== text", "true", READER + REFUSED),
    Break(
        "static/js/reveal.js",
        "  confirmLeaving(true);",
        "  confirmLeaving(false);",
        READER + REFUSED + ("tests/browser/test_enigmacrypt_links.py",),
    ),
    Break("static/js/reveal.js", '$("content").replaceChildren();\n  field', "field", READER),
    Break("static/js/reveal.js", 'addEventListener("pagehide", () => wipe(page));', "", READER),
    Break("static/js/reveal.js", '  $("reveal").hidden = isTooLarge;', "", SAVING),
    Break("static/js/kept-key.js", 'if (location.hash) location.replace("#");', "", READER),
    Break("static/js/link-check.js", "if (!link.isWhole) throw", "if (false) throw", READER + REFUSED),
    Break("static/js/opened-view.js", "state.response.viewsLeft === 0 || !state.proof?.access", "false", READER),
    Break("static/js/opened-view.js", "if (Math.min(idle, reading) <= 0) wipe();", "if (false) wipe();", READER),
    Break("static/js/opened-view.js", "() => Boolean(state.files?.isBusy)", "() => false", SAVING),
    Break(
        "static/js/error-view.js", '"link_incomplete", "access_denied", "access_required"', '"link_incomplete"', REFUSED
    ),
    Break(
        "static/js/secret-view.js",
        'target: "_blank", rel: "noopener noreferrer"',
        'target: "_blank"',
        (*READER, "tests/browser/test_contents.py"),
    ),
    Break(
        "static/js/secret-view.js",
        'type: "application/octet-stream"',
        'type: "text/html"',
        (*READER, "tests/browser/test_contents.py"),
    ),
    Break("static/js/secret-view.js", "if (!url) {", "if (false) {", ("tests/browser/test_contents.py",)),
    Break("static/js/passcode-question.js", "|| plain === passcode ", "", READER + REFUSED),
    Break(
        "static/js/openers/seecret.js", "|| toBase64url(key) !== fragment", "", ("tests/browser/test_seecret_links.py",)
    ),
    Break(
        "static/js/openers/sharokey.js",
        "if (!Array.isArray(value)) throw",
        "if (false) throw",
        ("tests/browser/test_sharokey_links.py", *OPENERS),
    ),
    Break(
        "static/js/openers/scrt-link.js",
        "type: matchingText(secretType, TYPES)",
        "type: secretType",
        ("tests/browser/test_scrt_link_links.py", *OPENERS),
    ),
    Break(
        "static/js/openers/enigmacrypt.js",
        'version === "v1" && ',
        "",
        ("tests/browser/test_enigmacrypt_links.py", *OPENERS),
    ),
    Break("static/js/transfer.js", "if (Date.now() > this.until) throw", "if (false) throw", SAVING),
    # Erasure
    Break("store/connection.py", '"secure_delete": 1', '"secure_delete": 0', ("tests/faults/test_erasure.py",)),
    Break("store/connection.py", '"synchronous": 2', '"synchronous": 1', ("tests/faults/test_power_loss.py",)),
    Break("store/writes.py", "peeked_at IS NULL AND state = 'active'", "peeked_at IS NULL", STORE),
    # Cryptography
    Break("format/envelope.py", "PBKDF2_ROUNDS = 600_000", "PBKDF2_ROUNDS = 600_001", ENVELOPE),
)
