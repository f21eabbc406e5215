#!/usr/bin/env bash
# Every benchmark. The scoreboard builds and starts all that it measures: a fast upstream, nginx,
# HAProxy, Tollgate with its ledger off, on SQLite and on PostgreSQL, and what scripts/peers.sh has
# installed. Arguments go to it:
# scripts/bench.sh --only nginx,tollgate --scenario unary-1k-64 --rounds 3   and nothing else is measured.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
scripts/setup.sh bench

step "building"
cargo build --locked --profile dist -p tollgate --bin tollgate --no-default-features --features grpc
cargo build --locked --release -p tollgate-bench --bin scoreboard

step "the scoreboard"
peers=()
# Where scripts/peers.sh has put them.
[ ! -d "$TOLLGATE_CACHE/peers" ] || peers=(--peers "$TOLLGATE_CACHE/peers")
"$CARGO_TARGET_DIR/release/scoreboard" --tollgate "$CARGO_TARGET_DIR/dist/tollgate" "${peers[@]}" "$@"
[ "$#" -eq 0 ] || exit 0

step "the ledger, and single functions"
cargo bench --locked -p tollgate-bench
step "the transports of the client"
cargo bench --locked -p tollgate --bench transports
