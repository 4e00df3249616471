"""Write the locks of the container: every package that it installs, with its version and the digests of its wheels.

`python tests/support/lock.py` asks the package index for the newest versions that pyproject.toml allows, for Debian's
Python on two kinds of machines. Run the tests with these versions before the locks are committed.
"""

import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = "3.13"  # Debian trixie's
MACHINES = ("x86_64", "aarch64")
TAGS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_5")


def resolved(requirements: list[str], machine: str, folder: Path) -> dict[str, str]:
    """Return the digest of the wheel of each package that the requirements need, by `name==version`."""
    report = folder / "report.json"
    platforms = [word for tag in TAGS for word in ("--platform", f"{tag}_{machine}")]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--only-binary", ":all:",
         "--python-version", PYTHON, *platforms, "--target", folder / "none", "--report", report, *requirements],
        check=True,
    )  # fmt: skip
    packages = json.loads(report.read_text())["install"]
    return {
        f"{item['metadata']['name'].lower()}=={item['metadata']['version']}": item["download_info"]["archive_info"][
            "hashes"
        ]["sha256"]
        for item in packages
    }


def lock(requirements: list[str]) -> str:
    """Return the requirements with their dependencies, pinned, as `pip install --require-hashes -r` reads them."""
    digests: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for machine in MACHINES:
            for pin, digest in resolved(requirements, machine, Path(folder)).items():
                digests.setdefault(pin, set()).add(digest)
    lines = [
        " \\\n    ".join([pin, *(f"--hash=sha256:{digest}" for digest in sorted(digests[pin]))])
        for pin in sorted(digests)
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (ROOT / "tests" / "requirements.lock").write_text(lock(project["project"]["dependencies"]))
    (ROOT / "tests" / "build.lock").write_text(lock(project["build-system"]["requires"]))
