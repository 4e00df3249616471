"""Run SecLink with a retention of seconds instead of days, so that a test of minutes sees rows being forgotten.

    python short_retention.py 20 -m seclink ...

Both the rows of ended secrets and the entries of the audit trail are kept for that long.
"""

import runpy
import sys

from seclink.store import audit_log
from seclink.store.sqlite import SqliteStore

keep_seconds = int(sys.argv[1])
original = SqliteStore.reconfigure


def reconfigure(store: SqliteStore, _keep: int, _audit: int, max_bytes: int) -> None:
    """Set the short retention instead of the configured one, at the start and at a reload."""
    original(store, keep_seconds, keep_seconds, max_bytes)


if __name__ == "__main__":
    SqliteStore.reconfigure = reconfigure  # type: ignore[method-assign, assignment]
    audit_log.PRUNE_INTERVAL_MS = keep_seconds * 1000
    sys.argv = sys.argv[sys.argv.index("seclink") :]
    runpy.run_module("seclink", run_name="__main__", alter_sys=True)
