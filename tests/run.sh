#!/usr/bin/env bash
# Everything that has to hold, from nothing: a virtual environment of its own, what the tests need, then lint, types and tests.
# What is missing is installed; what cannot be installed fails the run. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { # package, what shows that it is there
    eval "$2" >/dev/null 2>&1 && return
    echo "installing $1" >&2
    if [ "$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq "$1" >/dev/null; fi
    eval "$2" >/dev/null 2>&1 || { echo "tests/run.sh: the package $1 is missing; install it" >&2; exit 1; }
}
need curl 'command -v curl'
need strace 'command -v strace'
need faketime 'command -v faketime'
need e2fsprogs 'PATH=$PATH:/usr/sbin command -v mkfs.ext4'
need nginx 'command -v nginx || test -x /usr/sbin/nginx' # 0.5 MB; stands in front in tests, without rights and on loopback
need caddy 'command -v caddy' # 9 MB, 36 unpacked; the same
need systemd 'command -v systemd-analyze' # it checks the unit; libseccomp comes with it
need chromium 'command -v chromium'
need chromium-headless-shell 'command -v chromium-headless-shell' # its engine alone: in a third of the time
need firefox-esr 'command -v firefox-esr' # 80 MB; it saves files in ways of its own
# The foreign systems' clients.
need nodejs 'command -v node'
need npm 'command -v npm'
need php-cli 'command -v php'
need php-curl 'php -r "exit((int) !extension_loaded(\"curl\"));"'

venv=${SECLINK_TEST_VENV:-.venv}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
# Not editable: what is tested is what `pip install` gives.
"$venv/bin/pip" install --quiet --force-reinstall --no-deps .
"$venv/bin/pip" install --quiet '.[test]'
tests/dialects/clients/install.sh "$venv/clients" &

"$venv/bin/ruff" check .
"$venv/bin/ruff" format --check --quiet .
"$venv/bin/mypy"
wait $! # for the clients
"$venv/clients/typescript/node_modules/.bin/tsc" --project tests
# Two files of tests at a time; -n 0 among the arguments has them all in one process, as -s and --pdb want it.
exec "$venv/bin/pytest" -n 2 --dist loadfile --no-loadscope-reorder "$@"
