#!/usr/bin/env bash
# Makes the Python environment of the OpenAI SDK test and prints its interpreter as the last line.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

openai=openai==3.51.0
venv="$TOLLGATE_CACHE/venv"
if [ "$(cat "$venv/tollgate-has" 2>/dev/null)" != "$openai" ]; then
    step "making a Python environment with $openai"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet "$openai"
    printf '%s\n' "$openai" >"$venv/tollgate-has"
fi
printf '%s\n' "$venv/bin/python"
