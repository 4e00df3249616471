"""Break the package on purpose, one line at a time: for each break, the tests that have to notice it.

`python -m tests.mutants` tries all of them, `--sample 20` some at random, `--only PATTERN` those whose file or text
matches. A break that no test notices ends with exit status 1. The list is `breaks.py`; it takes minutes, so it is not
part of `tests/run.sh`.
"""

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .breaks import BREAKS, Break

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 900
TESTS_FAILED = 1  # pytest's exit status; others mean that it did not come to the tests


def main() -> int:
    options = _options()
    chosen = [item for item in BREAKS if re.search(options.only, f"{item.path} {item.before}")]
    if options.sample:
        chosen = random.sample(chosen, min(options.sample, len(chosen)))
    unnoticed = [item for item in chosen if not _is_noticed(item)]
    print(f"{len(chosen) - len(unnoticed)} of {len(chosen)} breaks were noticed")
    return 1 if unnoticed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--sample", type=int, metavar="N", help="try N breaks at random")
    parser.add_argument("--only", default="", metavar="PATTERN", help="try the breaks whose file or text matches")
    return parser.parse_args()


def _is_noticed(item: Break) -> bool:
    """Run the tests of a break against a broken copy of the package; print and return whether one failed."""
    with tempfile.TemporaryDirectory(prefix="seclink-mutant-") as folder:
        _copy_broken(item, Path(folder))
        status = _pytest(Path(folder), item.tests)
    print(f"{'noticed' if status == TESTS_FAILED else 'NOT NOTICED'}  {item.path}: {item.before} -> {item.after}")
    sys.stdout.flush()
    return status == TESTS_FAILED


def _copy_broken(item: Break, folder: Path) -> None:
    package = folder / "seclink"
    shutil.copytree(ROOT / "seclink", package, ignore=shutil.ignore_patterns("__pycache__"))
    file = package / item.path
    text = file.read_text()
    assert text.count(item.before) == 1, f"{item.path} has {item.before!r} {text.count(item.before)} times"
    file.write_text(text.replace(item.before, item.after))


def _pytest(folder: Path, tests: Sequence[str]) -> int:
    """Run tests against the package in `folder`, which goes before the installed one."""
    command = [str(Path(sys.executable).with_name("pytest")), "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, timeout=TIMEOUT_SECONDS, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
