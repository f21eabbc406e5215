#!/usr/bin/env bash
# Feeds the dialects bytes that nobody chose: one target after the other, at low priority.
# scripts/fuzz.sh stream reply: these targets alone. FUZZ_SECONDS=600: ten minutes each.
# An input that breaks something is kept in fuzz/artifacts: run it again with
# `cargo +nightly fuzz run TARGET FILE`, and add it to fuzz/seeds, which `cargo test` replays.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

have cargo-fuzz || fail "cargo-fuzz is missing: cargo install cargo-fuzz --locked"
cargo +nightly --version >/dev/null 2>&1 ||
    fail "the targets need a nightly compiler: rustup toolchain install nightly"

targets=("$@")
if [ "$#" -eq 0 ]; then
    mapfile -t targets < <(cargo +nightly fuzz list --fuzz-dir fuzz)
fi
# Everything is safe Rust: without the address sanitizer the targets run several times as often.
fuzz=(nice cargo +nightly fuzz)
for target in "${targets[@]}"; do
    step "$target"
    corpus="$TOLLGATE_CACHE/fuzz/$target"
    mkdir -p "$corpus"
    "${fuzz[@]}" run --fuzz-dir fuzz --sanitizer none "$target" "$corpus" "fuzz/seeds/$target" -- \
        -dict=fuzz/words.dict -max_total_time="${FUZZ_SECONDS:-60}" -timeout=10 -rss_limit_mb=4096 \
        -max_len=16384 -print_final_stats=1
done
