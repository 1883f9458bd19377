#!/usr/bin/env node
// Cases for matrix.mjs from the media.json of scripts/test-media.sh.
//
//   node cases.mjs MEDIA.json > cases.json             every title, preset and player that can go together
//   node cases.mjs MEDIA.json --quick > cases.json     one player for each title and preset, in turn
//   node cases.mjs MEDIA.json --direct > cases.json    the files themselves, as /media/FILE: tries the harness
//
// A title is expected at /vod/{id}/{cmaf,ts}/. Titles that Chromium cannot decode are left out.

import { readFileSync } from 'node:fs';

const PLAYS = { // [preset, manifest, player]
  cmaf: [['cmaf', 'master.m3u8', 'hls.js'], ['cmaf', 'manifest.mpd', 'shaka'], ['cmaf', 'manifest.mpd', 'dash.js'],
    ['cmaf', 'master.m3u8', 'shaka'], ['cmaf', 'master.m3u8', 'native']],
  ts: [['ts', 'master.m3u8', 'hls.js'], ['ts', 'master.m3u8', 'native'], ['ts', 'master.m3u8', 'shaka']],
};
const TS_VIDEO = ['h264'];
const TS_AUDIO = ['aac', 'mp3'];
// In Media Source Extensions Chromium takes MP3 out of a transport stream, not in fragments.
const CMAF_AUDIO = ['aac', 'opus', 'flac'];
const VARIABLE_RATE_SEEK_FRAMES = 6; // the slowest stretch of vfr.mp4 has a picture each five counts

const [file, ...flags] = process.argv.slice(2);
if (!file) {
  console.error('usage: node cases.mjs MEDIA.json [--quick | --direct]');
  process.exit(2);
}
const titles = JSON.parse(readFileSync(file, 'utf8')).filter(({ chromium }) => chromium === 'av');

// What these players do to ffmpeg's own packaging of the same titles too. Out of transport streams,
// hls.js and shaka-player put the first decode time where the first picture belongs, so that
// pictures come late by the reordering delay (two frames here); shaka-player moves no sound with
// them. In HLS, Chromium places the first sample of a rendition at its playlist's start; shaka-player
// heeds the date there, which ffmpeg does not write, and can't tell the tracks of a muxed stream apart.
const REORDERED_MS_MAX = 100;
const REORDERED_TITLES = ['ntsc', 'sixty', 'open-gop', 'vfr'];

function known(title, player, manifest, preset) {
  if (preset === 'ts' && REORDERED_TITLES.includes(title.id) && ['hls.js', 'shaka'].includes(player)) {
    return { 'offset-ms-max': REORDERED_MS_MAX, ...(player === 'shaka' ? { 'avsync-ms-max': REORDERED_MS_MAX } : {}) };
  }
  const movesLateSound = player === 'native' ? preset !== 'ts' : player === 'shaka' && preset === 'ts';
  if (title.id === 'late-audio' && manifest === 'master.m3u8' && movesLateSound) {
    return { avsync: undefined };
  }
  return {};
}

function demands(title, player, direct) {
  const several = title.audio.length > 1;
  // Chromium's decoder fails at the first leading pictures after a seek into an open GOP.
  const breaksAtSeeks = title.id === 'open-gop';
  const choice = player !== 'native' && !direct;
  const tones = (several && choice ? title.audio : title.audio.slice(0, 1)).map(({ language, tone_hz: hz }) => `${language}=${hz}`);
  return {
    seconds: 4,
    seeks: breaksAtSeeks ? 0 : 3,
    seed: title.id.length,
    barcode: title.fps.join('/'),
    'barcode-first': title.first_frame,
    frames: title.id === 'vfr' ? undefined : title.frames,
    'to-end': !breaksAtSeeks,
    'seek-frames-max': title.id === 'vfr' ? VARIABLE_RATE_SEEK_FRAMES : 1,
    avsync: 1760,
    'beep-phase': title.beep_phase_seconds,
    tones: tones.join(','),
    switch: choice && title.video.sizes.length > 1,
    ...(choice && title.text.length > 0 ? { text: title.text[0].language, 'text-match': `^${title.text[0].language} \\d+` } : {}),
  };
}

// Pictures from I-frame to I-frame of titles that are played by I-frames alone.
const TRICK_GOPS = { ladder: 50, sixty: 120 };
const TRICK_PLAYS = [ // [title, preset, manifest, player], the quick ones first
  ['ladder', 'cmaf', 'manifest.mpd', 'shaka'], ['ladder', 'ts', 'master.m3u8', 'shaka'], ['sixty', 'cmaf', 'master.m3u8', 'hls.js'],
  ['ladder', 'cmaf', 'master.m3u8', 'shaka'], ['ladder', 'cmaf-single', 'master.m3u8', 'shaka'],
  ['ladder', 'cmaf', 'master.m3u8', 'hls.js'], ['ladder', 'cmaf-single', 'master.m3u8', 'hls.js'],
  ['ladder', 'ts', 'master.m3u8', 'hls.js'], ['sixty', 'ts', 'master.m3u8', 'hls.js'],
];
const TRICK_QUICK = 3;

function trickPlays() {
  const plays = flags.includes('--quick') ? TRICK_PLAYS.slice(0, TRICK_QUICK) : TRICK_PLAYS;
  return plays.map(([id, preset, manifest, player]) => {
    const title = titles.find((found) => found.id === id);
    return {
      name: `${id} ${preset}/${manifest} ${player} trick play`,
      url: `/vod/${id}/${preset}/${manifest}`,
      player,
      seconds: 1,
      barcode: title.fps.join('/'),
      'barcode-first': title.first_frame,
      trick: TRICK_GOPS[id],
      ...known(title, player, manifest, preset),
    };
  });
}

function direct(title) {
  if (title.id === 'apart') return []; // its files are no use one by one
  return [{ name: `${title.id} direct`, url: `/media/${title.files[0]}`, player: 'native', ...demands(title, 'native', true) }];
}

function packaged(title) {
  const fits = { cmaf: title.audio.every(({ codec }) => CMAF_AUDIO.includes(codec)),
    ts: TS_VIDEO.includes(title.video.codec) && title.audio.every(({ codec }) => TS_AUDIO.includes(codec)) };
  return Object.keys(PLAYS).filter((preset) => fits[preset]).flatMap((preset) => {
    const plays = flags.includes('--quick') ? [PLAYS[preset][titles.indexOf(title) % PLAYS[preset].length]] : PLAYS[preset];
    return plays.map(([, manifest, player]) => ({
      name: `${title.id} ${preset}/${manifest} ${player}`,
      url: `/vod/${title.id}/${preset}/${manifest}`,
      player,
      ...demands(title, player, false),
      ...known(title, player, manifest, preset),
    }));
  });
}

const cases = flags.includes('--direct') ? titles.flatMap(direct) : [...titles.flatMap(packaged), ...trickPlays()];
console.log(JSON.stringify(cases, null, 1));
