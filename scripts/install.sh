#!/usr/bin/env bash
# Installs Debian packages, as root, and starts nothing: PostgreSQL gets no cluster, Redis, nginx and
# HAProxy do not run, now or after the next start of the machine. Tests and benchmarks start private ones.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

among() { # among PACKAGE: whether it is one of those to install
    local package
    for package in "${packages[@]}"; do [ "$package" != "$1" ] || return 0; done
    return 1
}
packages=("$@")
policy=/usr/sbin/policy-rc.d
no_cluster=/etc/postgresql-common/createcluster.d/tollgate.conf

made=()
# What is made for the installation goes with it, for it is for this one alone.
trap '[ "${#made[@]}" -eq 0 ] || rm -f "${made[@]}"' EXIT
# Where there is a policy already it is the operator's, and stays.
if [ ! -e "$policy" ]; then
    made+=("$policy")
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
if among postgresql; then
    made+=("$no_cluster")
    mkdir -p "${no_cluster%/*}"
    printf 'create_main_cluster = false\n' >"$no_cluster"
fi

apt-get update
apt-get install -y --no-install-recommends "${packages[@]}"

for service in redis-server nginx haproxy; do
    # Installing it also arranges for it to start with the machine.
    ! among "$service" || update-rc.d "$service" disable >/dev/null || true
done
