#!/usr/bin/env bash
# Installs the gateways that Tollgate can be measured beside, LiteLLM and Portkey, pinned, into the cache
# folder, and prints where. Optional: `make bench` measures those that are there.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
scripts/setup.sh bench
peers="$TOLLGATE_CACHE/peers"

if ! cmp -s bench/peers/litellm.txt "$peers/litellm/tollgate-has"; then
    step "LiteLLM, in a Python environment"
    rm -rf "$peers/litellm"
    python3 -m venv "$peers/litellm"
    "$peers/litellm/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-deps --only-binary :all: --requirement bench/peers/litellm.txt
    cp bench/peers/litellm.txt "$peers/litellm/tollgate-has"
fi

if ! cmp -s bench/peers/package-lock.json "$peers/portkey/tollgate-has"; then
    have npm || fail "npm is not on the PATH: install Node.js first"
    step "Portkey's gateway"
    rm -rf "$peers/portkey"
    mkdir -p "$peers/portkey"
    cp bench/peers/package.json bench/peers/package-lock.json "$peers/portkey"
    (cd "$peers/portkey" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
    cp bench/peers/package-lock.json "$peers/portkey/tollgate-has"
fi
printf '%s\n' "$peers"
