#!/usr/bin/env bash
# Serves the sample title in the foreground until Ctrl-C; what `make run` ends in.
#
#   scripts/run.sh BINARY DATA SAMPLE_DIR
#
# The title (id `bunny`) is ingested where DATA lacks it. The last line printed is the address of
# the page that plays it. Each request would be a line of the log, which would push the address off
# the screen, so that only warnings are logged unless STREAMVERSE__LOG__LEVEL says otherwise.
set -euo pipefail

USAGE='usage: scripts/run.sh BINARY DATA SAMPLE_DIR'
BINARY=${1:?$USAGE}
DATA=${2:?$USAGE}
SAMPLE=${3:?$USAGE}
TITLE_ID=bunny

has_title() {
  "$BINARY" assets list --data "$DATA" --json | python3 -c '
import json, sys
sys.exit(not any(title["id"] == sys.argv[1] for title in json.load(sys.stdin)))' "$TITLE_ID"
}

if ! has_title; then
  "$BINARY" ingest --data "$DATA" --id "$TITLE_ID" --title "Big Buck Bunny" \
    "$SAMPLE"/video-{720,432,216}p.mp4 "$SAMPLE"/subtitles.{en,de}.vtt \
    "$SAMPLE/thumbnails/thumbnails.vtt" "$SAMPLE/poster.jpg"
fi

# Turns the server's `ready {"media_http":"ADDRESS:PORT",…}` into the page's address, and passes on
# whatever else the server prints. The pause lets the log of the start, which has its own writer, come first.
announce() {
  local line address
  while IFS= read -r line; do
    if [[ $line =~ ^ready\ .*\"media_http\":\"([^\"]+)\" ]]; then
      address=${BASH_REMATCH[1]/#0.0.0.0:/127.0.0.1:}
      address=${address/#\[::\]:/127.0.0.1:}
      sleep 0.3
      printf '\nWatch Big Buck Bunny (Ctrl-C stops the server):\n\n    http://%s/?title=%s\n' "$address" "$TITLE_ID"
      if [[ $line =~ \"media_https\":\"([^\"]+)\" ]]; then
        printf '    https://%s/?title=%s    HTTP/2 and HTTP/3; the certificate is made on this machine\n' \
          "${BASH_REMATCH[1]}" "$TITLE_ID"
      fi
    else
      printf '%s\n' "$line"
    fi
  done
}

# The server takes this process's place and with it every signal. The announcer outlives the Ctrl-C
# that a terminal sends to the whole group, so that the server's last words have a reader.
export STREAMVERSE__LOG__LEVEL=${STREAMVERSE__LOG__LEVEL:-warn}
exec "$BINARY" serve --open --data "$DATA" > >(trap '' INT TERM; announce)
