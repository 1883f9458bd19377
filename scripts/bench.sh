#!/usr/bin/env bash
# Measures just-in-time packaging beside nginx, which sends the same bytes as static files.
#
#   scripts/bench.sh TARGET_DIR
#
# TARGET_DIR/release holds `streamverse` and `load`. The server under test has core 0, the client
# core 1; page caches are warm, rounds of both servers alternate, and each figure is the median of
# ROUNDS. Processor time is that of the server (utime + stime of /proc/PID/stat). One table goes to
# standard output and to bench/results/. Needs nginx, ffmpeg, curl and taskset.
set -euo pipefail

TARGET=$(realpath "${1:?usage: scripts/bench.sh TARGET_DIR}")
ROUNDS=${ROUNDS:-5}
SECONDS_EACH=${SECONDS_EACH:-3}
CONNECTIONS=16
MEDIA=$TARGET/bench-media
PATH=$PATH:/usr/sbin
STREAMVERSE=$TARGET/release/streamverse
LOAD=$TARGET/release/load
RESULTS=bench/results
WORK=$(mktemp -d "${TMPDIR:-/tmp}/bench.XXXXXX")
PIDS=()
cleanup() {
  for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
  rm -rf "$WORK"
}
trap cleanup EXIT
mkdir -p "$MEDIA" "$RESULTS"

# rung NAME SIZE KBPS: ten minutes, of one that is encoded and repeated.
rung() {
  local out=$MEDIA/$1.mp4
  [ -e "$out" ] && return
  ffmpeg -nostdin -v error -y \
    -f lavfi -i "testsrc2=size=$2:rate=30:duration=60,noise=alls=20:allf=t" \
    -f lavfi -i "sine=frequency=440:sample_rate=48000:duration=60" -shortest \
    -c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 2 -g 60 -keyint_min 60 -sc_threshold 0 \
    -b:v "$3k" -maxrate "$3k" -bufsize "$3k" -c:a aac -b:a 128k -ac 2 "$WORK/minute.mp4"
  ffmpeg -nostdin -v error -y -stream_loop 9 -i "$WORK/minute.mp4" -c copy \
    -movflags +faststart "$WORK/whole.mp4"
  mv "$WORK/whole.mp4" "$out"
}

# cpu PID: clock ticks that it has used.
cpu() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }

field() { sed -n "s/.*\"$2\":\([0-9]*\).*/\1/p" <<<"$1"; }

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# measure PID ADDRESS LIST: CPU seconds per GB and microseconds of CPU per request.
measure() {
  local before after seen
  before=$(cpu "$1")
  seen=$(taskset -c 1 "$LOAD" "$2" "$3" "$CONNECTIONS" "$SECONDS_EACH")
  after=$(cpu "$1")
  if [ "$(field "$seen" bad)" != 0 ]; then
    echo "answers were wrong: $2 $3 $seen" >&2
    exit 1
  fi
  awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" -v bytes="$(field "$seen" bytes)" \
    -v requests="$(field "$seen" requests)" \
    'BEGIN { s = ticks / hz; printf "%.4f %.2f\n", s / (bytes / 1e9), s / requests * 1e6 }'
}

rung 1080 1920x1080 6000
rung 720 1280x720 3000
rung 480 854x480 1500
FILES=("$MEDIA/1080.mp4" "$MEDIA/720.mp4" "$MEDIA/480.mp4")

"$STREAMVERSE" ingest "${FILES[@]}" --id ten --ladder none --data "$WORK/data" >/dev/null
: >"$WORK/ready"
STREAMVERSE__MEDIA__HTTP=127.0.0.1:0 STREAMVERSE__OPS__HTTP=127.0.0.1:0 \
  taskset -c 0 "$STREAMVERSE" serve --open --data "$WORK/data" >"$WORK/ready" 2>/dev/null &
OURS=$!
PIDS+=("$OURS")
for _ in $(seq 100); do grep -q '^ready' "$WORK/ready" && break; sleep 0.1; done
OUR_ADDRESS=$(sed -n 's/.*"media_http":"\([^"]*\)".*/\1/p' "$WORK/ready")

# follow PRESET: the paths of every segment that the playlists of a preset name, in time order.
follow() {
  local base=/vod/ten/$1 playlist
  curl -fsS "http://$OUR_ADDRESS$base/master.m3u8" >"$WORK/master"
  for playlist in $({ grep -v '^#' "$WORK/master" || true; sed -n 's/^#EXT-X-MEDIA.*URI="\([^"]*\)".*/\1/p' "$WORK/master"; } | sort -u); do
    curl -fsS "http://$OUR_ADDRESS$base/$playlist" | grep -v '^#' | awk -v base="$base/" '{ print NR, base $0 }'
  done | sort -n -s -k1,1 | awk '{ print $2 }' | while read -r path; do realpath -ms "$path"; done
}

# Each path's bytes, as a static file of the same name.
peer() {
  while read -r path; do
    mkdir -p "$WORK/static$(dirname "$path")"
    curl -fsS "http://$OUR_ADDRESS$path" -o "$WORK/static$path"
  done <"$1"
}

follow cmaf >"$WORK/fmp4"
follow ts >"$WORK/ts"
grep '/audio/' "$WORK/fmp4" >"$WORK/audio"
peer "$WORK/fmp4"
peer "$WORK/ts"

PLAYLIST=$(grep -v '^#' "$WORK/master" | head -1)
echo "/vod/ten/ts/$PLAYLIST" >"$WORK/playlist"
echo /vod/ten/cmaf/manifest.mpd >"$WORK/mpd"

PORT=$((20000 + RANDOM % 20000))
cat >"$WORK/nginx.conf" <<END
daemon off; worker_processes 1; pid $WORK/nginx.pid; error_log /dev/null;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  open_file_cache max=10000; client_body_temp_path $WORK/body; proxy_temp_path $WORK/proxy;
  fastcgi_temp_path $WORK/fastcgi; uwsgi_temp_path $WORK/uwsgi; scgi_temp_path $WORK/scgi;
  server { listen 127.0.0.1:$PORT; root $WORK/static; }
}
END
chmod 755 "$WORK"
taskset -c 0 nginx -c "$WORK/nginx.conf" 2>/dev/null &
PIDS+=("$!")
sleep 0.5
PEER=$(pgrep -P "$!" | head -1)

# row NAME LIST TARGET: ours and the peer's, in turns.
row() {
  local ratio
  : >"$WORK/ours"
  : >"$WORK/peer"
  for _ in $(seq "$ROUNDS"); do
    measure "$PEER" "127.0.0.1:$PORT" "$WORK/$2" >>"$WORK/peer"
    measure "$OURS" "$OUR_ADDRESS" "$WORK/$2" >>"$WORK/ours"
  done
  awk -v name="$1" -v ours="$(awk '{ print $1 }' "$WORK/ours" | median)" \
    -v peer="$(awk '{ print $1 }' "$WORK/peer" | median)" -v target="$3" 'BEGIN {
      ratio = ours / peer
      printf "| %s | %.3f | %.3f | %.2f | ≤ %s | %s |\n", name, ours, peer, ratio, target,
        ratio <= target ? "pass" : "miss" }'
}

# manifest NAME LIST MICROSECONDS_MAX: processor time of one request.
manifest() {
  : >"$WORK/ours"
  for _ in $(seq "$ROUNDS"); do
    measure "$OURS" "$OUR_ADDRESS" "$WORK/$2" >>"$WORK/ours"
  done
  awk -v name="$1" -v ours="$(awk '{ print $2 }' "$WORK/ours" | median)" -v target="$3" 'BEGIN {
    printf "| %s | %.1f | | | ≤ %s | %s |\n", name, ours, target, ours <= target ? "pass" : "miss" }'
}

{
  echo "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1), $(nproc) cores, Linux $(uname -r)," \
    "$(nginx -v 2>&1 | sed 's/.*: //'), load $(cut -d' ' -f1-3 /proc/loadavg)"
  echo
  echo "| CPU seconds per GB | ours | nginx static | ratio | target | |"
  echo "| --- | --- | --- | --- | --- | --- |"
  row "clear fMP4, audio and video" fmp4 0.9
  row "MPEG-TS" ts 1.35
  row "audio out of a muxed file" audio 1.7
  manifest "media playlist, 10 minutes, µs a request" playlist 30
  manifest "MPD, 10 minutes, µs a request" mpd 30
} | tee "$RESULTS/$(date +%Y%m%dT%H%M%S).md"
