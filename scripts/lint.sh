#!/usr/bin/env bash
# Everything that is checked without running the code.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
scripts/setup.sh

step "format"
cargo fmt --all --check
cargo fmt --manifest-path adapters/recipes/Cargo.toml --check

step "clippy, with llama.cpp"
cargo clippy --locked --workspace --all-targets -- -D warnings

step "clippy, without llama.cpp"
cargo clippy --locked -p tollgate -p tollgate-engine --no-default-features --all-targets -- -D warnings

step "each feature of the client alone"
for features in "" websocket grpc blocking; do
    cargo clippy --locked -p tollgate-client --no-default-features --features "$features" \
        --all-targets -- -D warnings
done

step "the client stays thin"
most=110
crates="$(cargo tree --locked -p tollgate-client -e normal --prefix none | sed 's/ (\*)$//' | sort -u)"
heavy="$(grep -E '^(axum|axum-core|sqlx[a-z-]*|tonic[a-z-]*|llama-cpp[a-z0-9-]*|tollgate-engine|tollgate) v' <<<"$crates" || true)"
[ -z "$heavy" ] || fail "tollgate-client depends on: $heavy"
count="$(wc -l <<<"$crates")"
say "tollgate-client needs $count crates, itself included; at most $most are allowed"
[ "$count" -le "$most" ] || fail "tollgate-client needs more than $most crates"

if have shellcheck; then
    step "shellcheck"
    shellcheck scripts/*.sh .ci/run
fi
