#!/usr/bin/env bash
# Makes the Python environment of the SDK tests and prints its interpreter as the last line. Does
# nothing, and needs no network, while tests/python/requirements.txt is what the environment has.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

wanted=tests/python/requirements.txt
venv="$TOLLGATE_CACHE/venv"
if ! cmp -s "$wanted" "$venv/tollgate-has"; then
    step "making a Python environment with $(grep -cF == "$wanted") packages for the SDK tests"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-deps --only-binary :all: --requirement "$wanted"
    "$venv/bin/python" -m pip check --quiet --disable-pip-version-check
    # Last: an environment that was not finished is made again.
    cp "$wanted" "$venv/tollgate-has"
fi
printf '%s\n' "$venv/bin/python"
