#!/usr/bin/env bash
# Builds the programs, optimised. The first time takes minutes: llama.cpp is built from source.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh
scripts/setup.sh

step "building (the first time, llama.cpp takes several minutes)"
cargo build --locked --release -p tollgate -p tollgate-cli -p tollgate-examples --bins --examples
say "programs are in $CARGO_TARGET_DIR/release"
