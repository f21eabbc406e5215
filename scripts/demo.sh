#!/usr/bin/env bash
# The whole promise on one screen: a real local model behind the proxy, a key with permissions and
# budgets, an agent that calls the model through RemoteProvider, and what that cost. The proxy then
# stays until Ctrl-C. A second start reuses build, model, data and keys.
#
#   TOLLGATE_PORT=8790   another port than 8787; 0 takes a free one
#   DEMO_ONCE=1          stop after the answer; the exit code says whether all went well
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/env.sh

bin="$CARGO_TARGET_DIR/release"
demo="$PWD/data/demo"
log="$demo/tollgate.log"
model=local/smollm2-135m-instruct
port="${TOLLGATE_PORT:-8787}"
config="$demo/tollgate.toml"

proxy=
stop() {
    [ -n "$proxy" ] || return 0
    kill -TERM "$proxy" 2>/dev/null || true
    wait "$proxy" 2>/dev/null || true
    proxy=
}
trap stop EXIT
trap 'echo; step "stopping"; stop; exit 0' INT TERM

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

configure() {
    mkdir -p "$demo"
    chmod 700 "$demo"
    cat >"$config" <<TOML
# Written by make run at every start.
[server]
listen = "127.0.0.1:$port"

[store]
url = "sqlite:$demo/tollgate.db"

[[providers]]
name = "local"
kind = "llama"

[[providers.load]]
model = "smollm2-135m-instruct"
path = "$DEMO_MODEL"
context = 8192
parallel = 4

[[models]]
name = "fast"
targets = ["$model"]

# Made up, so that there is something to charge: US dollars per million tokens.
[[prices]]
model = "$model"
input = "0.02"
output = "0.06"
TOML
}

tollgate() { "$bin/tollgate" --config "$config" "$@"; }

issue() { # issue FILE ARGUMENT...: makes a key once and keeps it, readable by its owner alone
    local file="$demo/$1"
    shift
    [ ! -s "$file" ] || return 0
    (umask 077 && tollgate keys create "$@" --json | grep -om 1 'tg_[0-9A-Za-z_]*' >"$file.new")
    mv "$file.new" "$file"
}

user() { # user NAME ARGUMENT...: adds a user that is not there yet
    tollgate users list --json | grep -q "\"$1\"" || tollgate users create "$@" >/dev/null
}

keys() {
    # Keys without the database that knows them are worth nothing.
    [ -s "$demo/tollgate.db" ] || rm -f "$demo"/*.key
    user operator --role admin
    user alice
    issue admin.key --user operator --role admin
    issue alice.key --user alice --model 'local/*' --feature chat --feature stream --feature tools \
        --budget 'cost=5usd/month' --budget 'tokens=100000/month' --budget 'requests=1000/day' \
        --rate '60/minute'
}

serve() {
    set -m # a process group of its own, so that Ctrl-C reaches this script alone
    "$bin/tollgate" --config "$config" serve >"$log" 2>&1 &
    proxy=$!
    set +m
    for _ in $(seq 600); do
        kill -0 "$proxy" 2>/dev/null || { cat "$log" >&2; fail "the proxy did not start, see above"; }
        url="$(sed -n 's|.*\(http://127\.0\.0\.1:[0-9]*\).*|\1|p' "$log" | head -n 1)"
        [ -n "$url" ] && ready "${url##*:}" && return 0
        sleep 0.1
    done
    cat "$log" >&2
    fail "the proxy was not ready within a minute, see above"
}

ready() { # asks GET /health/ready; bash alone can do it, a fresh machine may lack curl
    {
        exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
        printf 'GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
        head -n 1 <&3 | grep -q ' 200 '
        local found=$?
        exec 3>&-
        return "$found"
    } 2>/dev/null
}

instructions() {
    step "the proxy is running at $url"
    cat <<TEXT
    Your key is in $demo/alice.key, the operator's in admin.key. Try, in another terminal:

      export TOLLGATE_URL=$url TOLLGATE_API_KEY=\$(cat $demo/alice.key)
      $bin/toll chat --model $model "Name three rivers."
      $bin/toll usage
      $bin/tollgate --config $config usage --group-by user

      curl $url/v1/chat/completions -H "Authorization: Bearer \$TOLLGATE_API_KEY" \\
        -H 'Content-Type: application/json' \\
        -d '{"model": "$model", "messages": [{"role": "user", "content": "Hello"}]}'

      python3 -c 'import os, openai; client = openai.OpenAI(base_url="$url/v1", api_key=os.environ["TOLLGATE_API_KEY"]); \\
        print(client.chat.completions.create(model="$model", messages=[{"role": "user", "content": "Hello"}]).choices[0].message.content)'

    The log is $log. Ctrl-C stops the proxy.
TEXT
}

scripts/build.sh
scripts/model.sh >/dev/null
if [ "$port" != 0 ] && taken "$port"; then
    fail "port $port is taken, by a running demo perhaps: choose another, TOLLGATE_PORT=8790 make run"
fi

step "starting the proxy"
configure
keys
serve
say "$url is ready"

export TOLLGATE_URL="$url"
TOLLGATE_API_KEY="$(cat "$demo/alice.key")"
export TOLLGATE_API_KEY

step "asking the example agent, through RemoteProvider"
"$bin/agent_remote"

step "what is left of the key's budgets"
"$bin/toll" budgets
step "what has been used"
"$bin/toll" usage

[ -z "${DEMO_ONCE:-}" ] || exit 0
instructions
wait "$proxy"
