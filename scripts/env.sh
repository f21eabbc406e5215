# shellcheck shell=bash
# Where everything is kept between runs. Source this file; it changes nothing that is set already.
#
# The build folder lies in the cache and not in the checkout, so that llama.cpp (several minutes of
# C++) is built once for all checkouts. Registry crates are shared, the workspace's own crates are
# not: cargo tells them apart by their path. ccache serves the C++ to other profiles and to a
# build folder that was emptied; llama.cpp's CMake finds it without being told.
TOLLGATE_CACHE="${TOLLGATE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/tollgate}"
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$TOLLGATE_CACHE/target}"
CCACHE_DIR="${CCACHE_DIR:-$TOLLGATE_CACHE/ccache}"
CCACHE_MAXSIZE="${CCACHE_MAXSIZE:-1G}"
export TOLLGATE_CACHE CARGO_TARGET_DIR CCACHE_DIR CCACHE_MAXSIZE

# The demo model: also in proxy/src/commands/models/, from which `tollgate models pull` works.
DEMO_MODEL="$TOLLGATE_CACHE/models/SmolLM2-135M-Instruct.Q4_1.gguf"
DEMO_MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

step() { printf '\n==> %s\n' "$*"; }
say() { printf '    %s\n' "$*"; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
