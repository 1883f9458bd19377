#!/usr/bin/env bash
# Makes the test titles: small files in every codec and layout that the packager reads.
#
#   scripts/test-media.sh OUT_DIR
#
# Every picture carries its own frame number as a barcode and every audio track beeps on the whole
# second, so that a player's output proves its own time without trusting a timestamp.
#
#   barcode   A strip over the top ninth of the picture, 24 cells wide. Cells 0 and 23 are white,
#             1 and 22 black (they calibrate the threshold), 2..17 hold the frame number, most
#             significant bit first, and 18..21 the exclusive or of its four nibbles. It is drawn
#             one pixel per cell and enlarged, which costs nothing and survives any downscale.
#   tone      A sine of one frequency per language: 441 Hz English, 662 Hz French, 882 Hz German.
#   beep      1760 Hz for the first 60 ms of every second, in step with a white flash in the
#             picture below the strip.
#
# OUT_DIR/media.json describes each title: an array of objects, one a line, with
#   id, layout, files (arguments of one `ingest`), fps [num, den], frames, first_frame (of the
#   picture at time 0), duration_seconds, beep_phase_seconds, video {codec, sizes}, audio [{language,
#   codec, tone_hz, sample_rate}], text [{language, format, file}], chromium (what Debian's
#   Chromium decodes in some container: "av", "v" for the picture alone, or "").
#
# Needs: ffmpeg (Debian 12's 5.1 or later; with libx264, libx265, libsvtav1, libvpx, libopus,
# libmp3lame, all in Debian's build) and bash. Files that exist are kept; delete one to remake it.
set -euo pipefail

OUT=${1:?usage: scripts/test-media.sh OUT_DIR}
mkdir -p "$OUT"
cd "$OUT"

export SVT_LOG=1 # errors alone
FFMPEG=(ffmpeg -nostdin -hide_banner -v error -y -threads 2)
DESCRIPTIONS=()
BARCODE="255*(eq(X,0)+eq(X,23)+between(X,2,17)*mod(floor(N/pow(2,17-X)),2)+between(X,18,21)*mod(floor(N/pow(2,21-X))+floor(N/pow(2,25-X))+floor(N/pow(2,29-X))+floor(N/pow(2,33-X)),2))"

# picture RATE SECONDS WIDTH HEIGHT: a filter graph whose output is [v].
picture() {
  local rate=$1 seconds=$2 width=$3 height=$4
  local strip=$((height / 9 / 2 * 2))
  echo "testsrc2=size=${width}x${height}:rate=${rate}:duration=${seconds},drawbox=x=0:y=ih*3/4:w=iw/8:h=ih/4:color=white:t=fill:enable='lt(mod(t+0.001,1),0.06)'[scene];\
nullsrc=size=24x1:rate=${rate}:duration=${seconds},format=gray,geq=lum='${BARCODE}',scale=${width}:${strip}:flags=neighbor,format=yuv420p[strip];\
[scene][strip]overlay=0:0:shortest=1,format=yuv420p[v]"
}

# sound TONE_HZ SAMPLE_RATE SECONDS LABEL [FRAME]: a filter graph whose output is [LABEL], in frames
# of FRAME samples: ffmpeg 5.1 does not recut a generated sound for encoders of a fixed frame size.
sound() {
  echo "aevalsrc=exprs='0.2*sin(2*PI*$1*t)+0.6*sin(2*PI*1760*t)*lt(mod(t,1),0.06)':sample_rate=$2:duration=$3,aformat=channel_layouts=stereo,asetnsamples=n=${5:-1024}:p=0[$4]"
}

# make FILE ARGUMENTS...: runs ffmpeg unless FILE is there; a half-written file never gets the name.
make_file() {
  local file=$1
  shift
  [[ -s $file ]] && return
  mkdir -p "$(dirname "$file")"
  "${FFMPEG[@]}" "$@" "$(dirname "$file")/.part-$(basename "$file")"
  mv "$(dirname "$file")/.part-$(basename "$file")" "$file"
}

# text_file FILE vtt|srt LANGUAGE SECONDS: one cue a second, which names its second and language.
text_file() {
  local file=$1 format=$2 language=$3 seconds=$4 separator=. second
  [[ -s $file ]] && return
  mkdir -p "$(dirname "$file")"
  [[ $format == srt ]] && separator=,
  {
    [[ $format == vtt ]] && printf 'WEBVTT\n\n'
    for ((second = 0; second < seconds; second++)); do
      printf '%d\n00:00:%02d%s200 --> 00:00:%02d%s900\n%s %d\n\n' \
        $((second + 1)) "$second" "$separator" "$second" "$separator" "$language" "$second"
    done
  } > "$file.part"
  mv "$file.part" "$file"
}

describe() { DESCRIPTIONS+=("$1"); }
audio() { printf '{"language":"%s","codec":"%s","tone_hz":%d,"sample_rate":%d}' "$@"; }

X264=(-c:v libx264 -preset ultrafast -tune zerolatency -bf 0)
X264_B=(-c:v libx264 -preset superfast -bf 3)
GOP_25=(-g 50 -keyint_min 50 -sc_threshold 0)
AAC=(-c:a aac -b:a 64k)

# --- three renditions, two languages, muxed; and the same as one track per file -----------------
renditions() {
  local seconds=20 size bitrate file files=()
  local tail='"fps":[25,1],"frames":500,"first_frame":0,"duration_seconds":20,"beep_phase_seconds":0'
  for size in 640x360:600k 426x240:300k 256x144:150k; do
    bitrate=${size#*:} size=${size%:*}
    file=ladder/${size#*x}p.mp4
    files+=("\"$file\"")
    make_file "$file" \
      -filter_complex "$(picture 25 $seconds "${size%x*}" "${size#*x}");$(sound 441 48000 $seconds eng);$(sound 662 48000 $seconds fra)" \
      -map '[v]' -map '[eng]' -map '[fra]' -metadata:s:a:0 language=eng -metadata:s:a:1 language=fra \
      "${X264[@]}" -b:v "$bitrate" -maxrate "$bitrate" -bufsize "$bitrate" "${GOP_25[@]}" "${AAC[@]}" -movflags +faststart
  done
  local languages
  languages="[$(audio eng aac 441 48000),$(audio fra aac 662 48000)]"
  text_file ladder/en.vtt vtt en $seconds
  text_file ladder/de.srt srt de $seconds
  describe '{"id":"ladder","layout":"progressive","files":['"$(IFS=,; echo "${files[*]}")"',"ladder/en.vtt","ladder/de.srt"],'"$tail"',"video":{"codec":"h264","sizes":["640x360","426x240","256x144"]},"audio":'"$languages"',"text":[{"language":"en","format":"vtt","file":"ladder/en.vtt"},{"language":"de","format":"srt","file":"ladder/de.srt"}],"chromium":"av"}'

  make_file apart/video-360p.mp4 -i ladder/360p.mp4 -map 0:v -c copy
  make_file apart/video-240p.mp4 -i ladder/240p.mp4 -map 0:v -c copy
  make_file apart/audio-eng.m4a -i ladder/360p.mp4 -map 0:a:0 -c copy -f mp4
  make_file apart/audio-fra.m4a -i ladder/360p.mp4 -map 0:a:1 -c copy -f mp4
  describe '{"id":"apart","layout":"one track per file","files":["apart/video-360p.mp4","apart/video-240p.mp4","apart/audio-eng.m4a","apart/audio-fra.m4a"],'"$tail"',"video":{"codec":"h264","sizes":["640x360","426x240"]},"audio":'"$languages"',"text":[],"chromium":"av"}'

  local one='"video":{"codec":"h264","sizes":["426x240"]},"audio":'"$languages"',"text":[],"chromium":"av"}'
  make_file fragmented.mp4 -i ladder/240p.mp4 -map 0 -c copy -movflags +frag_keyframe+empty_moov+default_base_moof
  describe '{"id":"fragmented","layout":"fragmented, empty moov","files":["fragmented.mp4"],'"$tail,$one"
  make_file delay-moov.mp4 -i ladder/240p.mp4 -map 0 -c copy -movflags +frag_keyframe+delay_moov -frag_duration 700000
  describe '{"id":"delay-moov","layout":"fragmented, moov delayed","files":["delay-moov.mp4"],'"$tail,$one"
  make_file moov-last.mp4 -i ladder/240p.mp4 -map 0 -c copy
  describe '{"id":"moov-last","layout":"progressive, moov last","files":["moov-last.mp4"],'"$tail,$one"
  make_file quicktime.mov -i ladder/240p.mp4 -map 0 -c copy -f mov
  describe '{"id":"quicktime","layout":"QuickTime","files":["quicktime.mov"],'"$tail,$one"

  make_file tx3g.mp4 -i ladder/240p.mp4 -i ladder/en.vtt -i ladder/de.srt -map 0:v -map 0:a:0 -map 1 -map 2 \
    -c copy -c:s mov_text -metadata:s:s:0 language=eng -metadata:s:s:1 language=deu -disposition:s:0 0
  describe '{"id":"tx3g","layout":"progressive","files":["tx3g.mp4"],'"$tail"',"video":{"codec":"h264","sizes":["426x240"]},"audio":['"$(audio eng aac 441 48000)"'],"text":[{"language":"en","format":"tx3g","file":"tx3g.mp4"},{"language":"de","format":"tx3g","file":"tx3g.mp4"}],"chromium":"av"}'

  # Audio starts half a second late: an empty edit (ISO/IEC 14496-12 8.6.6).
  make_file late-audio.mp4 -i ladder/240p.mp4 -itsoffset 0.5 -i ladder/240p.mp4 -map 0:v -map 1:a:0 -c copy
  describe '{"id":"late-audio","layout":"empty edit before the audio","files":["late-audio.mp4"],"fps":[25,1],"frames":500,"first_frame":0,"duration_seconds":20.5,"beep_phase_seconds":0.5,"video":{"codec":"h264","sizes":["426x240"]},"audio":['"$(audio eng aac 441 48000)"'],"text":[],"chromium":"av"}'
}

# --- frame rates and GOP structures -------------------------------------------------------------
# One picture track and one English audio track of SECONDS seconds:
# one FILE RATE SECONDS WIDTHxHEIGHT SAMPLE_RATE[:FRAME] OUTPUT_OPTIONS...
one() {
  local file=$1 rate=$2 seconds=$3 size=$4 sample_rate=$5
  shift 5
  local graph
  [[ $sample_rate == *:* ]] || sample_rate+=:1024
  graph="$(picture "$rate" "$seconds" "${size%x*}" "${size#*x}");$(sound 441 "${sample_rate%:*}" "$seconds" eng "${sample_rate#*:}")"
  make_file "$file" -filter_complex "$graph" \
    -map '[v]' -map '[eng]' -metadata:s:a:0 language=eng "$@"
}

timing() {
  one ntsc.mp4 30000/1001 10.01 426x240 44100 "${X264_B[@]}" -b:v 300k -g 60 -keyint_min 60 -sc_threshold 0 "${AAC[@]}" -movflags +faststart
  describe '{"id":"ntsc","layout":"B-frames, 44.1 kHz","files":["ntsc.mp4"],"fps":[30000,1001],"frames":300,"first_frame":0,"duration_seconds":10.01,"beep_phase_seconds":0,"video":{"codec":"h264","sizes":["426x240"]},"audio":['"$(audio eng aac 441 44100)"'],"text":[],"chromium":"av"}'

  one sixty.mp4 60 10 640x360 48000 -c:v libx264 -preset superfast -profile:v high -bf 2 -b:v 600k -g 120 -keyint_min 120 -sc_threshold 0 "${AAC[@]}"
  describe '{"id":"sixty","layout":"High profile, 60 fps","files":["sixty.mp4"],"fps":[60,1],"frames":600,"first_frame":0,"duration_seconds":10,"beep_phase_seconds":0,"video":{"codec":"h264","sizes":["640x360"]},"audio":['"$(audio eng aac 441 48000)"'],"text":[],"chromium":"av"}'

  one open-gop.mp4 25 10 426x240 48000 "${X264_B[@]}" -b:v 300k -x264-params open-gop=1:keyint=50:min-keyint=50:scenecut=0:b-adapt=0 "${AAC[@]}"
  describe '{"id":"open-gop","layout":"open GOP","files":["open-gop.mp4"],"fps":[25,1],"frames":250,"first_frame":0,"duration_seconds":10,"beep_phase_seconds":0,"video":{"codec":"h264","sizes":["426x240"]},"audio":['"$(audio eng aac 441 48000)"'],"text":[],"chromium":"av"}'

  # The barcode counts a 60 fps grid; 30, 12 and 20 pictures a second are kept of it.
  make_file vfr.mp4 \
    -filter_complex "$(picture 60 9 426 240);[v]select='if(lt(n,180),not(mod(n,2)),if(lt(n,360),not(mod(n,5)),not(mod(n,3))))'[kept];$(sound 441 48000 9 eng)" \
    -map '[kept]' -map '[eng]' -metadata:s:a:0 language=eng -fps_mode vfr -enc_time_base:v 1:60 \
    "${X264_B[@]}" -b:v 300k -force_key_frames 'expr:gte(t,n_forced*2)' -g 300 "${AAC[@]}" -video_track_timescale 60000
  describe '{"id":"vfr","layout":"variable frame rate","files":["vfr.mp4"],"fps":[60,1],"frames":186,"first_frame":0,"duration_seconds":9,"beep_phase_seconds":0,"video":{"codec":"h264","sizes":["426x240"]},"audio":['"$(audio eng aac 441 48000)"'],"text":[],"chromium":"av"}'

  # Cut without re-encoding in the middle of a GOP: the edit list hides the first 38 pictures.
  make_file cut.mp4 -ss 1.52 -i ladder/240p.mp4 -map 0:v -map 0:a:0 -c copy
  describe '{"id":"cut","layout":"edit list starts inside a GOP","files":["cut.mp4"],"fps":[25,1],"frames":462,"first_frame":38,"duration_seconds":18.48,"beep_phase_seconds":0.48,"video":{"codec":"h264","sizes":["426x240"]},"audio":['"$(audio eng aac 441 48000)"'],"text":[],"chromium":"av"}'
}

# --- codecs ----------------------------------------------------------------------------------------
codecs() {
  local tail='"fps":[25,1],"frames":200,"first_frame":0,"duration_seconds":8,"beep_phase_seconds":0'
  local h264='"video":{"codec":"h264","sizes":["320x180"]}'
  local X265=(-c:v libx265 -preset ultrafast -b:v 200k -x265-params "log-level=error:keyint=50:min-keyint=50:scenecut=0:open-gop=0")

  one hevc-hvc1.mp4 25 8 320x180 48000 "${X265[@]}" -tag:v hvc1 "${AAC[@]}"
  describe '{"id":"hevc-hvc1","layout":"progressive","files":["hevc-hvc1.mp4"],'"$tail"',"video":{"codec":"hevc","sizes":["320x180"]},"audio":['"$(audio eng aac 441 48000)"'],"text":[],"chromium":""}'
  make_file hevc-hev1.mp4 -i hevc-hvc1.mp4 -map 0 -c copy -tag:v hev1
  describe '{"id":"hevc-hev1","layout":"progressive","files":["hevc-hev1.mp4"],'"$tail"',"video":{"codec":"hevc","sizes":["320x180"]},"audio":['"$(audio eng aac 441 48000)"'],"text":[],"chromium":""}'

  one av1-opus.mp4 25 8 320x180 48000:960 -c:v libsvtav1 -preset 12 -b:v 200k -g 50 -c:a libopus -b:a 64k
  describe '{"id":"av1-opus","layout":"progressive","files":["av1-opus.mp4"],'"$tail"',"video":{"codec":"av1","sizes":["320x180"]},"audio":['"$(audio eng opus 441 48000)"'],"text":[],"chromium":"av"}'
  one vp9-opus.mp4 25 8 320x180 48000:960 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 -row-mt 1 -b:v 200k -g 50 -keyint_min 50 -c:a libopus -b:a 64k
  describe '{"id":"vp9-opus","layout":"progressive","files":["vp9-opus.mp4"],'"$tail"',"video":{"codec":"vp9","sizes":["320x180"]},"audio":['"$(audio eng opus 441 48000)"'],"text":[],"chromium":"av"}'

  local codec frame chromium options
  one h264-small.mp4 25 8 320x180 48000 "${X264[@]}" -b:v 200k "${GOP_25[@]}" "${AAC[@]}"
  while read -r codec frame chromium options; do
    # shellcheck disable=SC2086 # options are several words on purpose
    make_file "h264-$codec.mp4" -i h264-small.mp4 -filter_complex "$(sound 441 48000 8 eng "$frame")" \
      -map 0:v -map '[eng]' -metadata:s:a:0 language=eng -c:v copy $options
    describe '{"id":"h264-'"$codec"'","layout":"progressive","files":["h264-'"$codec"'.mp4"],'"$tail,$h264"',"audio":['"$(audio eng "$codec" 441 48000)"'],"text":[],"chromium":"'"$chromium"'"}'
  done <<'CODECS'
ac3 1536 v -c:a ac3 -b:a 128k
eac3 1536 v -c:a eac3 -b:a 128k
flac 4608 av -c:a flac -strict -2
mp3 1152 av -c:a libmp3lame -b:a 96k
CODECS
}

# The ladder comes first since others are cut from it; the rest shares the cores.
renditions
timing
codecs

{
  printf '[\n'
  for ((i = 0; i < ${#DESCRIPTIONS[@]}; i++)); do
    printf '%s%s\n' "${DESCRIPTIONS[i]}" "$([[ $i -lt $((${#DESCRIPTIONS[@]} - 1)) ]] && echo ,)"
  done
  printf ']\n'
} > media.json.part
mv media.json.part media.json
echo "${#DESCRIPTIONS[@]} titles in $OUT"
