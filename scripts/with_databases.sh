#!/usr/bin/env bash
# Runs a command beside a private PostgreSQL and a private Redis, which end with it:
# scripts/with_databases.sh cargo nextest run -p tollgate --no-default-features
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
. "$root/scripts/env.sh"
"$root/scripts/setup.sh" test
cargo build --locked --quiet --manifest-path "$root/Cargo.toml" -p tollgate-bench --bin with-databases
exec "$CARGO_TARGET_DIR/debug/with-databases" "$@"
