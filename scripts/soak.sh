#!/usr/bin/env bash
# Half an hour of load on a server, 70 % of what it can do; fails when a call fails or when its memory
# grows by 5 %. Writes some gigabytes of usage into a temporary folder. scripts/soak.sh --minutes 5 is shorter.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
scripts/setup.sh bench

step "building"
cargo build --locked --profile dist -p tollgate --bin tollgate --no-default-features --features grpc
cargo build --locked --release -p tollgate-bench --bin scoreboard

step "load"
"$CARGO_TARGET_DIR/release/scoreboard" --tollgate "$CARGO_TARGET_DIR/dist/tollgate" soak "$@"
