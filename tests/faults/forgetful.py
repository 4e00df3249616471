"""Runs SecLink so that it forgets what ended after seconds instead of days: `python forgetful.py 20 -m seclink ...`.

So that forgetting is part of what a test of minutes sees.
"""

import runpy
import sys
from typing import Any

from seclink.store.sqlite import SqliteStore

keep_seconds = int(sys.argv[1])
unchanged = SqliteStore.open


async def forgetful(path: Any, **options: Any) -> SqliteStore:
    return await unchanged(path, **{**options, "keep_seconds": keep_seconds})


if __name__ == "__main__":
    SqliteStore.open = forgetful  # type: ignore[method-assign]
    sys.argv = sys.argv[sys.argv.index("seclink") :]
    runpy.run_module("seclink", run_name="__main__", alter_sys=True)
