#!/usr/bin/env bash
# Every test: the whole workspace with llama.cpp and the real model, then the server and the
# scheduler without any C++. A private PostgreSQL and a private Redis run beside them, on free ports
# and in temporary folders; the machine's own are left alone. Arguments go to the first test run: scripts/test.sh -p tollgate-types
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
scripts/setup.sh test
scripts/model.sh
scripts/venv.sh

export TOLLGATE_TEST_MODEL="$DEMO_MODEL" TOLLGATE_MODEL_PATH="$DEMO_MODEL"
export TOLLGATE_TEST_PYTHON="$TOLLGATE_CACHE/venv/bin/python"

if have cargo-nextest; then
    run=(cargo nextest run --locked --no-fail-fast)
else
    run=(cargo test --locked --no-fail-fast)
fi
selection=("$@")
[ "$#" -gt 0 ] || selection=(--workspace)

# Some tests start the programs themselves, and cargo builds those only when asked to. With all
# targets, as in scripts/lint.sh, so that llama.cpp is built once for both: another selection of
# packages or targets can turn on other features of its build tools, and cargo then builds it anew.
step "building"
cargo build --locked --workspace --all-targets

run=("$CARGO_TARGET_DIR/debug/with-databases" "${run[@]}")

failed=0
step "tests"
"${run[@]}" "${selection[@]}" || failed=1
[ "$#" -eq 0 ] || exit "$failed"

if have cargo-nextest; then
    step "tests in the documentation"
    cargo test --locked --workspace --doc || failed=1
fi

step "tests of the build without llama.cpp"
"${run[@]}" -p tollgate -p tollgate-engine --no-default-features || failed=1

step "Rust's clients of AI vendors against the programs that were built"
if have cargo-nextest; then
    cargo nextest run --locked --no-fail-fast --manifest-path adapters/recipes/Cargo.toml || failed=1
else
    cargo test --locked --no-fail-fast --manifest-path adapters/recipes/Cargo.toml || failed=1
fi

[ "$failed" = 0 ] || fail "some tests failed, see above"
