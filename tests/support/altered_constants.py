"""Run SecLink with some of its module constants changed, for values that no option may change.

    python altered_constants.py '{"seclink.store.group_commit.MAX_BATCH": 1}' -m seclink serve ...

The name may be that of a dictionary's member: `seclink.store.connection.PRAGMAS.synchronous`.
"""

import importlib
import json
import runpy
import sys
from typing import Any


def with_constants(constants: dict[str, Any]) -> tuple[str, ...]:
    """Return the beginning of a command that runs a Python module with these constants."""
    return (sys.executable, __file__, json.dumps(constants))


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
    for name, value in json.loads(sys.argv[1]).items():
        alter(name, value)
    sys.argv = sys.argv[sys.argv.index("seclink") :]
    runpy.run_module("seclink", run_name="__main__", alter_sys=True)
