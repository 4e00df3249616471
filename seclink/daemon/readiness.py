"""The problem to report to the service manager; while there is one, its watchdog is not fed."""

import os
from pathlib import Path

from seclink.domain.health import HealthCheck

MIN_FREE_BYTES = 2**20


async def readiness_problem(health: HealthCheck, database: Path) -> str:
    """Return why the appliance does not work, "" if it does or if a restart would not help, as with a full disk."""
    failing = await health.failing()
    if not failing or ("store" in failing and is_disk_full(database)):
        return ""
    return f"Not ready: {' and '.join(failing)}"


def is_disk_full(database: Path) -> bool:
    """Return whether the disk is full or read-only."""
    try:
        disk = os.statvfs(database.parent)
    except OSError:
        return False
    return bool(disk.f_flag & os.ST_RDONLY) or disk.f_bavail * disk.f_frsize < MIN_FREE_BYTES
