"""Runs SecLink so that it forgets what ended, and what its audit trail tells of it, after seconds instead of days:
`python forgetful.py 20 -m seclink ...`.

So that forgetting is part of what a test of minutes sees.
"""

import runpy
import sys

from seclink.store import audit_log
from seclink.store.sqlite import SqliteStore

keep_seconds = int(sys.argv[1])
unchanged = SqliteStore.reconfigure


def forgetful(store: SqliteStore, _keep: int, _audit: int, max_bytes: int) -> None:
    """Whatever the configuration says, at the start and at a reload."""
    unchanged(store, keep_seconds, keep_seconds, max_bytes)


if __name__ == "__main__":
    SqliteStore.reconfigure = forgetful  # type: ignore[method-assign]
    audit_log.PRUNE_INTERVAL_MS = keep_seconds * 1000
    sys.argv = sys.argv[sys.argv.index("seclink") :]
    runpy.run_module("seclink", run_name="__main__", alter_sys=True)
