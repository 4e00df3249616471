#!/usr/bin/env bash
# Everything that has to hold, from nothing: a virtual environment of its own, what the tests need, then lint, types and tests.
# What is missing is installed; what cannot be installed fails the run. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # command, Debian package
    command -v "$1" >/dev/null && return
    echo "installing $2" >&2
    if [ "$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq "$2" >/dev/null; fi
    command -v "$1" >/dev/null || { echo "tests/run.sh: $1 is missing; install the package $2" >&2; exit 1; }
}
need curl curl
need strace strace
need faketime faketime
need node nodejs
need chromium chromium

venv=${SECLINK_TEST_VENV:-.venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
# Not editable: what is tested is what `pip install` gives.
"$venv/bin/pip" install --quiet --force-reinstall --no-deps .
"$venv/bin/pip" install --quiet '.[test]'

"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check --quiet .
"$venv/bin/mypy"
exec "$venv/bin/pytest" "$@"
