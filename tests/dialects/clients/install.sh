#!/usr/bin/env bash
# The foreign systems' own clients, each in a place of its own below the folder that is given: nothing of them is part of
# SecLink, and what they pin does not bind it. What is there already is left as it is.
set -euo pipefail
into=$1
mkdir -p "$into"

if ! [ -e "$into/python/installed" ]; then
    python3 -m venv "$into/python"
    "$into/python/bin/pip" install --quiet sharokey==1.0.0 requests
    touch "$into/python/installed"
fi

for version in 4.1.1 4.2.0; do # the two generations: PBKDF2 with SHA-1, with SHA-256
    [ -e "$into/crypto-js-$version/node_modules/crypto-js/package.json" ] && continue
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$into/crypto-js-$version" "crypto-js@$version"
done

# Checks the types of the pages' modules (tests/tsconfig.json); no client, but installed the same way.
version=5.9.3
if ! grep -qs "\"version\": \"$version\"" "$into/typescript/node_modules/typescript/package.json"; then
    npm install --silent --no-audit --no-fund --ignore-scripts --save-exact --prefix "$into/typescript" "typescript@$version"
fi
