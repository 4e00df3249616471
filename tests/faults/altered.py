"""Run SecLink with some of its module constants changed.

    python altered.py '{"seclink.store.group_commit.MAX_BATCH": 1}' -m seclink serve ...

For what no setting may change, like how the database is synced. What follows are a Python command's own arguments,
`-m seclink serve ...`. A name may go on into a dictionary: `seclink.store.connection.PRAGMAS.synchronous`.
"""

import importlib
import json
import runpy
import sys
from typing import Any


def alter(name: str, value: Any) -> None:
    module, _, rest = name.rpartition(".")
    try:
        owner: Any = importlib.import_module(module)
    except ModuleNotFoundError:
        module, _, dictionary = module.rpartition(".")
        owner = getattr(importlib.import_module(module), dictionary)
    if isinstance(owner, dict):
        assert rest in owner
        owner[rest] = value
    else:
        assert hasattr(owner, rest)
        setattr(owner, rest, value)


if __name__ == "__main__":
    for each, to in json.loads(sys.argv[1]).items():
        alter(each, to)
    sys.argv = sys.argv[sys.argv.index("seclink") :]
    runpy.run_module("seclink", run_name="__main__", alter_sys=True)
