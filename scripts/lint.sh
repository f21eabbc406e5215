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

step "the client stays thin"
heavy="$(cargo tree --locked -p tollgate-client -e normal --prefix none |
    grep -E '^(axum|axum-core|sqlx[a-z-]*|tonic|llama-cpp[a-z0-9-]*|tollgate-engine|tollgate) v' || true)"
[ -z "$heavy" ] || fail "tollgate-client depends on: $heavy"

if have shellcheck; then
    step "shellcheck"
    shellcheck scripts/*.sh .ci/run
fi
