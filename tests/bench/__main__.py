"""`python -m tests.bench`: how fast the real server is, on this machine, and how far from its own ceiling.

The server runs as in production: `seclink serve` as a process, a database on a real disk with every commit synced
(synchronous=FULL), the log at level info into a file; only the rates are lifted. Measured in one run:

- durable creates and reveals a second, with 32 and 128 keep-alive connections, of secrets of 1 KiB with a proof of key;
  beside them the ceiling, the same requests to the same server with a store that keeps nothing (`ceiling`);
- the same with a million secrets in the database, and then also reveals of secrets anywhere among them;
- reveals while a million expired secrets are reaped (EXP-04), the log's size and the memory meanwhile;
- memory, time to the first 200, time of `seclink --help`, `doctor` and `verify`;
- the start page in Chromium: its weight with everything it loads, the waits of its visitor (`pages`). With `--pages`
  this alone;
- the same load on SnapPass, in turn with SecLink (`comparison`), where its parts are installed (`peer`). With `--peer`
  this alone, and what is missing is installed before.

A slice of ceiling and a slice of durable take turns, first one first and then the other, and each ratio is that of two
neighbours: a machine that is busy with something else moves both. `cpu us` is the server's processor time for each
answer, which hardly depends on what else runs. `load cpu` is the share of one core the load generator took: it is the
bottleneck only near 100%.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from . import comparison, pages, peer, report, servers
from .runs import Run


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the servers would outlive us
    place = options.keep or options.dir or servers.on_disk()
    if servers.file_system(place) in ("tmpfs", "ramfs"):
        sys.exit(f"{place} is in memory: syncing costs nothing there")
    pages.chromium()  # or its absence would end the run when most is done
    folder = Path(tempfile.mkdtemp(prefix="seclink-bench-", dir=place))
    try:
        _measure(options, folder)
    finally:
        if options.keep is None:
            shutil.rmtree(folder)


def _measure(options: argparse.Namespace, folder: Path) -> None:
    if options.pages:
        facts = pages.measure(folder / "pages", 3 if options.quick else 9)
        print(json.dumps(facts, indent=1) if options.json else "\n".join([*pages.text(facts), *pages.files(facts)]))
        return
    if options.peer:
        _compare(options, folder)
        return
    run = Run(
        folder,
        **_extent(options),
        count=options.rows or (100_000 if options.quick else 1_000_000),
        starts=3 if options.quick else 5,
    )
    run.all()
    if options.json:
        measured = {"facts": run.facts, "summary": report.summary(run.records), "records": run.records}
        print(json.dumps(measured, indent=1))
    else:
        print(report.text(run.facts, run.records), _compared(run.facts["peer"]), sep="\n\n")


def _compared(facts: dict[str, Any] | None) -> str:
    return "\n".join(comparison.text(facts)) if facts else "SnapPass is not installed here; --peer does it and compares"


def _extent(options: argparse.Namespace) -> dict[str, Any]:
    return {"slice_seconds": 1.0, "rounds": 1} if options.quick else {"slice_seconds": 3.0, "rounds": options.rounds}


def _compare(options: argparse.Namespace, folder: Path) -> None:
    peer.install()
    facts = comparison.measure(folder / "peer", **_extent(options), starts=3 if options.quick else 5)
    print(json.dumps(facts, indent=1) if options.json else "\n".join(comparison.text(facts)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure the server on this machine.")
    parser.add_argument("--json", action="store_true", help="everything that was measured, as JSON")
    parser.add_argument("--quick", action="store_true", help="a few minutes: short slices, one round, 100,000 rows")
    parser.add_argument("--pages", action="store_true", help="the start page alone: its weight and its waits")
    parser.add_argument("--peer", action="store_true", help="SnapPass beside it alone; installs what that needs")
    parser.add_argument("--rounds", type=int, default=4, help="how often two servers take turns (4)")
    parser.add_argument("--rows", type=int, help="how many secrets there are in the full database (1,000,000)")
    parser.add_argument("--dir", type=Path, help="where temporary files go; a folder on a disk")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="the same, and the files stay there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
