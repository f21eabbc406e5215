#!/usr/bin/env bash
# Installs what is missing to build Tollgate, with the argument `test` what its tests need too, and
# with `bench` also the servers that it is measured beside.
# Does nothing, in well under a second, when nothing is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

missing=()
need() { # need PACKAGE TEST...: adds the Debian package when the test fails
    local package="$1"
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
exists() { compgen -G "$1" >/dev/null; }
libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] ||
        { exists '/usr/lib/llvm-*/lib/libclang*.so*' && exists '/usr/lib/llvm-*/lib/clang/*/include/stddef.h'; } ||
        { exists '/usr/lib*/libclang.so*' && exists '/usr/lib*/clang/*/include/stddef.h'; }
}

postgres_server() { # Debian keeps the server's programs off the PATH
    { exists '/usr/lib/postgresql/*/bin/postgres' && exists '/usr/lib/postgresql/*/bin/initdb'; } ||
        { have postgres && have initdb; }
}

server() { have "$1" || [ -x "/usr/sbin/$1" ]; } # off the PATH of ordinary users

have cargo || fail "cargo is not on the PATH: install Rust first, https://rustup.rs says how"

need g++ have g++
need make have make
need cmake have cmake
need ccache have ccache
need libclang-dev libclang
need ca-certificates exists '/etc/ssl/certs/ca-certificates.crt'
if [ "${1:-}" = test ] || [ "${1:-}" = bench ]; then
    need python3-venv python3 -c 'import venv, ensurepip'
    need postgresql postgres_server
    need redis-server have redis-server
fi
if [ "${1:-}" = bench ]; then
    need nginx server nginx
    need haproxy server haproxy
fi

if [ "${#missing[@]}" -gt 0 ]; then
    step "installing ${missing[*]}"
    have apt-get || fail "this machine has no apt-get: install ${missing[*]} by hand, then start again"
    as_root=()
    if [ "$(id -u)" != 0 ]; then
        have sudo || fail "run as root, once: apt-get install -y ${missing[*]}"
        as_root=(sudo)
    fi
    export DEBIAN_FRONTEND=noninteractive
    "${as_root[@]}" bash scripts/install.sh "${missing[@]}"
fi

mkdir -p "$TOLLGATE_CACHE/models"
