#!/usr/bin/env bash
# Measures this server beside others: the same load, the same mock provider, one core, in turns.
#
#   benches/side_by_side.sh                                   # main and tls, three rounds
#   benches/side_by_side.sh --parts startup,cold --rounds 5   # whatever the bench folder's run_bench.sh takes
#
# The other servers, the generator and the mock are in a folder that is not part of this project: $HOOK_BENCH, or
# ../shared/bench beside the project. Without one there is nothing to do. What is built goes to $HOOK_BENCH_DIR
# (~/.cache/hook-bench), once. HOOK_SERVER is the binary to measure, target/release/okta-telephony-hook by default.
set -euo pipefail

project=$(cd "$(dirname "$0")/.." && pwd)
folder=${HOOK_BENCH:-$project/../shared/bench}
built=${HOOK_BENCH_DIR:-$HOME/.cache/hook-bench}
server=${HOOK_SERVER:-$project/target/release/okta-telephony-hook}
ours=$project/benches/side_by_side
secret='Basic dGVzdC1jcmVkZW50aWFsOnZlcnktc2VjcmV0'

if [[ ! -f $folder/run_bench.sh ]]; then
    echo "no side-by-side bench: there is no $folder (HOOK_BENCH names another place)"
    exit 0
fi
[[ -x $server ]] || { echo "no server at $server: run cargo build --release" >&2; exit 1; }

run=$(mktemp -d)
children=()
cleanup() {
    for child in "${children[@]}"; do kill "$child" 2>/dev/null || true; done
    rm -rf "$run"
}
trap cleanup EXIT

# A copy, since the folder may be read-only and its scripts write beside themselves.
cp -r "$folder" "$run/bench"
chmod -R u+w "$run/bench"
if [[ ! -x $built/target/release/lg ]] || ! command -v nginx >/dev/null; then
    HOOK_BENCH_DIR=$built sh "$run/bench/setup.sh" --lean
fi

# What was built, but with our `lg` before the generator.
mkdir -p "$run/cache/target/release" "$run/cache/bodies" "$built/certs" "$built/logs"
for part in "$built"/target/release/*; do
    [[ -f $part && -x $part ]] && ln -s "$part" "$run/cache/target/release/"
done
mv "$run/cache/target/release/lg" "$run/cache/lg"
ln -s "$ours/lg" "$run/cache/target/release/lg"
for part in target/stripped certs logs venv hook-go; do
    [[ -e $built/$part ]] && ln -s "$built/$part" "$run/cache/$part"
done
export HOOK_BENCH_DIR=$run/cache HOOK_SECRET=$secret EIGHT_API_KEY=testkey

# Two runs against one server, as the measurement makes them: every hook must have asked the provider, and none may
# have been a repeat or refused. If not, every figure per provider call would be wrong.
check() {
    local lg=$HOOK_BENCH_DIR/target/release/lg log=$run/check.log out=$run/check.out
    for port in 9101 9102 9103 9300 9301; do
        if (: </dev/tcp/127.0.0.1/$port) 2>/dev/null; then
            echo "port $port is taken: is another of these runs under way?" >&2
            return 1
        fi
    done
    "$HOOK_BENCH_DIR/target/release/mock" serve --plain 9101 --tls 9102 --admin 9103 --cert-dir "$HOOK_BENCH_DIR/certs" \
        2>/dev/null &
    children+=($!)
    OKTA_HOOK__PROVIDERS__EIGHT__BASE_URL=http://127.0.0.1:9101 "$server" --config "$ours/server.toml" serve 2>"$log" &
    children+=($!)
    for port in 9103 9301; do
        timeout 10 bash -c "until (: </dev/tcp/127.0.0.1/$port) 2>/dev/null; do sleep 0.05; done"
    done
    for _ in 1 2; do
        "$lg" run --port 9300 --path /okta/telephony --body "$ours/hook.json" --auth "$secret" --secs 0.5 --warm 0 >>"$out"
    done
    python3 - "$out" <<'PYTHON' || { cat "$out" >&2; head -3 "$log" >&2; return 1; }
import json, re, sys, urllib.request
issued = sum(json.loads(line)["issued"] for line in open(sys.argv[1]))
page = lambda url: urllib.request.urlopen(url, timeout=5).read().decode()
asked = json.loads(page("http://127.0.0.1:9103/counters"))["requests"]
verdicts = {}
for verdict, count in re.findall(r'^okta_hook_requests_total\{.*verdict="(\w+)".*\} (\d+)', page("http://127.0.0.1:9301/metrics"), re.M):
    verdicts[verdict] = verdicts.get(verdict, 0) + int(count)
verdicts = {verdict: count for verdict, count in verdicts.items() if count}
print(f"check: {issued} hooks, {asked} provider calls, verdicts {verdicts}")
sys.exit(issued == 0 or asked != issued or verdicts != {"accepted": issued})
PYTHON
    kill "${children[@]}"
    wait "${children[@]}" 2>/dev/null || true
    children=()
}
check

options=(
    --ours "$server --config $ours/server.toml serve" --ours-port 9300 --ours-path /okta/telephony
    --ours-auth "$secret" --ours-body "$ours/hook.json" --ours-size "$server"
    --ours-env "OKTA_HOOK__PROVIDERS__EIGHT__BASE_URL={UPSTREAM_BASE}"
    --ours-env "OKTA_HOOK__OUTBOUND__CA_FILE={CA}"
    --ours-env-tls "OKTA_HOOK__SERVER__TLS__CERT_FILE={CERT}" --ours-env-tls "OKTA_HOOK__SERVER__TLS__KEY_FILE={KEY}"
)
sh "$run/bench/run_bench.sh" "${options[@]}" --out "$built/results.md" \
    --only direct,nginx,axum-reqwest,ours --parts main,tls --rounds 3 "$@"

# The log of the last server that was started, after all of its runs.
echo "verdicts in the last log:"
grep -o '"verdict":"[a-z_]*"' "$built/logs/ours.out" | sort | uniq -c
