"""SecLink beside SnapPass: the same load generator, connections, size of secret and disk, in turn.

Each set-up of SnapPass runs beside a SecLink of its own, and for each kind of request a slice of one follows one of the
other, the order changing from round to round; each ratio is that of two such neighbours. What is counted (`dialects`):
a create is the request that stores a secret; a reveal the one that hands it out and destroys it; a look what its reader
gets before: SnapPass's page with the button, SecLink's meta. A browser that visits SecLink loads its page as well:
`visit` adds up the processor time of all that a reader's visit asks for, files with styles and scripts left out.

The two do not do the same work. SecLink gets ciphertext and checks a proof; SnapPass encrypts and decrypts, which
SecLink's readers do on their own machines. A SecLink answer means that it is on the disk, and that what was revealed is
overwritten; of the set-ups of SnapPass only `synced` waits for the disk, which is why it is the one to compare with.
Both write the log they write unasked. Where something else runs on the machine, go by the processor time: rates favour
whoever has more processes to be given turns.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from . import peer, report, slices
from .peer import SnapPass
from .servers import DURABLE, Server

CONNECTIONS = 32
KINDS = ("create", "look", "page", "reveal")
VISIT = {DURABLE: ("page", "look", "reveal"), SnapPass.name: ("look", "reveal")}
HEADS = report.heads("SecLink", "SnapPass")

Facts = dict[str, Any]


def measure(folder: Path, *, slice_seconds: float, rounds: int, starts: int) -> Facts:
    folder.mkdir()
    facts: Facts = {"redis": peer.redis_version(), "cores": os.cpu_count(), "records": [], "setups": {}}
    for setup in peer.SETUPS:
        place = folder / setup.name
        place.mkdir()
        ours, theirs = Server(DURABLE, place / "seclink"), SnapPass(setup, place / "snappass")
        each: Facts = {"start_seconds": _starts(ours, theirs, starts)}
        facts["setups"][setup.name] = each
        with ours, theirs:
            each["memory_idle"] = {server.name: server.memory() for server in (ours, theirs)}
            for number in range(rounds):
                done = _round(ours, theirs, number, place, slice_seconds)
                facts["records"] += [{"phase": setup.name, "round": number, **record} for record in done]
            each["memory_loaded"] = {server.name: server.memory() for server in (ours, theirs)}
    return facts


def _starts(ours: Server, theirs: SnapPass, times: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {ours.name: [], theirs.name: []}
    for _ in range(times):
        for server in (ours, theirs):
            taken[server.name].append(server.start())
            server.stop()
    return taken


def _round(ours: Server, theirs: SnapPass, number: int, place: Path, seconds: float) -> Iterator[dict[str, Any]]:
    turn = (ours, theirs) if number % 2 else (theirs, ours)
    for kind in KINDS:
        for server in turn:
            if kind == "page" and server is theirs:
                continue  # its look is one
            ids = place / f"{server.name}-{number}.ids"
            yield {"what": kind, **slices.take(server, kind, CONNECTIONS, seconds, ids=str(ids))}


def visits(records: list[Facts]) -> dict[str, list[dict[str, float]]]:
    """For each set-up, round by round, the processor microseconds of a reader's visit to each server."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for each in records:
        if each["what"] in VISIT[each["server"]]:
            costs = found.setdefault(each["phase"], {}).setdefault(each["round"], dict.fromkeys(VISIT, 0.0))
            costs[each["server"]] += each["cpu_us"]
    return {setup: list(rounds.values()) for setup, rounds in found.items()}


# As text


def text(facts: Facts) -> Iterator[str]:
    cores, redis = facts["cores"], facts["redis"]
    yield from report.table(report.summary(facts["records"], SnapPass.name), HEADS)
    yield ""
    yield f"SnapPass {peer.VERSION} on redis {redis} from Debian; gunicorn has {cores} workers of 4 threads"
    yield "  synced      redis with appendonly and appendfsync always: an answer is on the disk, as SecLink's is"
    yield "  as shipped  redis as Debian and SnapPass's container have it: snapshots; a power cut loses minutes"
    yield "  Flask's     the server that the command `snappass` starts; redis as shipped"
    for setup, costs in visits(facts["records"]).items():
        yield _line(
            f"a reader's visit, {setup}", [[each[name] for each in costs] for name in VISIT], "{:.0f}", "us cpu"
        )
    for setup, each in facts["setups"].items():
        yield _line(f"cold start, {setup}", each["start_seconds"].values(), "{:.2f}", "s")
        for when in ("idle", "loaded"):
            sizes = [[server["pss"]] for server in each[f"memory_{when}"].values()]
            yield _line(f"memory {when}, {setup}", sizes, "{:.0f}", "MiB PSS")
    yield report.checked(facts["records"])


def _line(label: str, values: Iterable[list[float]], form: str, unit: str) -> str:
    """Return a line with SecLink's values, SnapPass's, and how many times as much SnapPass takes."""
    ours, theirs = values
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    cells = [report.cell(report.three(each), form, spread=len(each) > 1) for each in (ours, theirs)]
    ratio = report.cell(report.three(ratios), "{:.1f}", spread=len(ratios) > 1)
    return f"{label:30} SecLink {cells[0]}, SnapPass {cells[1]} {unit}: {ratio} times as much"
