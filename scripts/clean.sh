#!/usr/bin/env bash
# Removes the demo's data and this workspace's own build results; with `all`, the cache folder too.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

rm -rf data/demo
if [ "${1:-}" = all ]; then
    rm -rf "$TOLLGATE_CACHE"
else
    cargo clean --workspace
fi
