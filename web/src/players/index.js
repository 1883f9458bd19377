// The players that the viewer can choose, and the formats that each one takes.
//
// create(video, {onChange, onProblem}) resolves to
//   load(url)               resolves when the manifest is read; failures go to onProblem
//   destroy()
//   renditions()            [{id, width, height, bitrate, frameRate, codecs}]
//   rendition()             the one being played, or null
//   fixedRendition()        id or null (automatic);  fixRendition(id | null)
//   audio(), text()         [{id, language, name, active}];  selectAudio(id), selectText(id | null)
//   bandwidth()             bits per second or null;  latency() seconds or null (not live)

import { LIBRARIES } from '../libraries.js';
import { createHls } from './hls.js';
import { createNative } from './native.js';
import { createShaka } from './shaka.js';

const probe = document.createElement('video');
const HLS_TYPE = 'application/vnd.apple.mpegurl';
const DASH_TYPE = 'application/dash+xml';

export const FORMATS = {
  hls: { label: 'HLS', detail: 'CMAF segments', field: 'hls', type: HLS_TYPE },
  ts: { label: 'HLS TS', detail: 'MPEG-TS segments', field: 'ts', type: HLS_TYPE },
  dash: { label: 'DASH', detail: 'CMAF segments', field: 'dash', type: DASH_TYPE },
};

export const PLAYERS = {
  'hls.js': { label: 'hls.js', version: LIBRARIES['hls.js']?.version, create: createHls, takes: ({ type }) => type === HLS_TYPE },
  shaka: { label: 'Shaka', version: LIBRARIES.shaka?.version, create: createShaka, takes: () => true },
  native: { label: 'Native', version: null, create: createNative, takes: ({ type }) => probe.canPlayType(type) !== '' },
};
