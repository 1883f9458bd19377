#!/usr/bin/env bash
# A folder that answers like the server, made by ffmpeg's own packagers: the harness and the page are
# tried against it, so that what they find wrong elsewhere is not their own doing.
#
#   tests/players/fixture.sh OUT_DIR TEST_MEDIA_DIR SAMPLE_DIR
#   node static.mjs 8080 /titles.json=OUT_DIR/titles.json /vod/=OUT_DIR/vod /=web/dist
set -euo pipefail

OUT=${1:?usage: fixture.sh OUT_DIR TEST_MEDIA_DIR SAMPLE_DIR}
MEDIA=$(realpath "$2")
SAMPLE=$(realpath "$3")
mkdir -p "$OUT/vod"
cd "$OUT/vod"
FFMPEG=(ffmpeg -nostdin -hide_banner -v error -y)

# DASH and HLS over the same fragments; ffmpeg knows no languages there, so they are written in.
cmaf() {
  local id=$1 audio=$2
  shift 2
  mkdir -p "$id/cmaf"
  (
    cd "$id/cmaf"
    "${FFMPEG[@]}" "$@" -c copy -seg_duration 2 -use_template 1 -use_timeline 1 -hls_playlist 1 -f dash manifest.mpd
    sed -i '/^#EXT-X-PROGRAM-DATE-TIME/d' media_*.m3u8 # the subtitles below have none
    local languages=(eng fra) group=0 language
    for ((group = 0; group < audio; group++)); do
      language=${languages[group]}
      sed -i -E "0,/NAME=\"audio_[0-9]+\",D/s//LANGUAGE=\"$language\",NAME=\"$language\",D/" master.m3u8
    done
  )
}

subtitles() {
  local id=$1 duration=$2 language
  shift 2
  for language in "$@"; do
    cp "$SAMPLE/subtitles.$language.vtt" "$id/cmaf/"
    printf '#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:%d\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:%s,\nsubtitles.%s.vtt\n#EXT-X-ENDLIST\n' \
      "${duration%.*}" "$duration" "$language" > "$id/cmaf/text-$language.m3u8"
    printf '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="text",LANGUAGE="%s",NAME="%s",AUTOSELECT=YES,URI="text-%s.m3u8"\n' \
      "$language" "$language" "$language" >> "$id/cmaf/master.m3u8"
    sed -i "s#</Period>#<AdaptationSet contentType=\"text\" mimeType=\"text/vtt\" lang=\"$language\"><Role schemeIdUri=\"urn:mpeg:dash:role:2011\" value=\"subtitle\"/><Representation id=\"text-$language\" bandwidth=\"400\"><BaseURL>subtitles.$language.vtt</BaseURL></Representation></AdaptationSet></Period>#" "$id/cmaf/manifest.mpd"
  done
  sed -i 's/^\(#EXT-X-STREAM-INF:.*\)$/\1,SUBTITLES="text"/' "$id/cmaf/master.m3u8"
}

if [[ ! -s bunny/cmaf/manifest.mpd ]]; then
  cmaf bunny 1 -i "$SAMPLE/video-720p.mp4" -i "$SAMPLE/video-432p.mp4" -i "$SAMPLE/video-216p.mp4" \
    -map 0:v -map 1:v -map 2:v -map 0:a -adaptation_sets "id=0,streams=0,1,2 id=1,streams=3"
  subtitles bunny 68.64 en de
  mkdir -p bunny/ts
  (cd bunny/ts && "${FFMPEG[@]}" -i "$SAMPLE/video-720p.mp4" -i "$SAMPLE/video-216p.mp4" -map 0:v -map 1:v -map 0:a -map 1:a -c copy \
    -f hls -hls_time 2 -hls_playlist_type vod -hls_segment_filename 'v%v-%d.ts' -var_stream_map 'v:0,a:0 v:1,a:1' -master_pl_name master.m3u8 'v%v.m3u8')
  cp "$SAMPLE/poster.jpg" "$SAMPLE"/thumbnails/* bunny/
fi
if [[ ! -s ladder/cmaf/manifest.mpd ]]; then
  cmaf ladder 2 -i "$MEDIA/ladder/360p.mp4" -i "$MEDIA/ladder/144p.mp4" -map 0:v -map 1:v -map 0:a:0 -map 0:a:1 \
    -adaptation_sets "id=0,streams=0,1 id=1,streams=2 id=2,streams=3"
  mkdir -p ladder/ts
  (cd ladder/ts && "${FFMPEG[@]}" -i "$MEDIA/ladder/360p.mp4" -i "$MEDIA/ladder/144p.mp4" -map 0:v -map 1:v -map 0:a:0 -map 1:a:0 -c copy \
    -f hls -hls_time 2 -hls_playlist_type vod -hls_segment_filename 'v%v-%d.ts' -var_stream_map 'v:0,a:0 v:1,a:1' -master_pl_name master.m3u8 'v%v.m3u8')
fi

cat > ../titles.json <<'JSON'
[
 {"id":"bunny","title":"Big Buck Bunny","duration_seconds":68.64,"poster":"/vod/bunny/poster.jpg","thumbnails":"/vod/bunny/thumbnails.vtt",
  "hls":"/vod/bunny/cmaf/master.m3u8","dash":"/vod/bunny/cmaf/manifest.mpd","ts":"/vod/bunny/ts/master.m3u8",
  "tracks":[
   {"name":"video-720p","kind":"video","codecs":"avc1.64001f","language":null,"width":1280,"height":720,"bitrate":2227245},
   {"name":"video-432p","kind":"video","codecs":"avc1.4d401e","language":null,"width":768,"height":432,"bitrate":916587},
   {"name":"video-216p","kind":"video","codecs":"avc1.4d400d","language":null,"width":384,"height":216,"bitrate":305741},
   {"name":"audio-en","kind":"audio","codecs":"mp4a.40.2","language":"en","width":null,"height":null,"bitrate":129739},
   {"name":"text-en","kind":"text","codecs":"wvtt","language":"en","width":null,"height":null,"bitrate":400},
   {"name":"text-de","kind":"text","codecs":"wvtt","language":"de","width":null,"height":null,"bitrate":400}]},
 {"id":"ladder","title":"Frame counter, two languages","duration_seconds":20,"poster":null,"thumbnails":null,
  "hls":"/vod/ladder/cmaf/master.m3u8","dash":"/vod/ladder/cmaf/manifest.mpd","ts":"/vod/ladder/ts/master.m3u8",
  "tracks":[
   {"name":"video-360p","kind":"video","codecs":"avc1.42c01e","language":null,"width":640,"height":360,"bitrate":612279},
   {"name":"video-144p","kind":"video","codecs":"avc1.42c00c","language":null,"width":256,"height":144,"bitrate":153473},
   {"name":"audio-eng","kind":"audio","codecs":"mp4a.40.2","language":"en","width":null,"height":null,"bitrate":66885},
   {"name":"audio-fra","kind":"audio","codecs":"mp4a.40.2","language":"fr","width":null,"height":null,"bitrate":66885}]},
 {"id":"absent","title":"A title whose files are gone","duration_seconds":12,"poster":null,"thumbnails":null,
  "hls":"/vod/absent/cmaf/master.m3u8","dash":"/vod/absent/cmaf/manifest.mpd","ts":null,"tracks":[]}
]
JSON
