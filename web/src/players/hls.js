// hls.js behind the page's player interface (players/index.js).

import { loadScript } from '../dom.js';
import { LIBRARIES } from '../libraries.js';
import { fromHls } from '../problem.js';

const MEDIA_RECOVERIES_MAX = 2;

export async function createHls(video, { onChange, onProblem }) {
  if (!window.Hls) await loadScript(LIBRARIES['hls.js'].path);
  const { Hls } = window;
  if (!Hls.isSupported()) throw new Error('This browser has no Media Source Extensions, which hls.js needs.');
  const hls = new Hls({ maxBufferLength: 30, backBufferLength: 60 });
  let recoveries = 0;

  for (const event of ['LEVEL_SWITCHED', 'LEVELS_UPDATED', 'AUDIO_TRACKS_UPDATED', 'AUDIO_TRACK_SWITCHED', 'SUBTITLE_TRACKS_UPDATED', 'SUBTITLE_TRACK_SWITCH']) {
    hls.on(Hls.Events[event], () => onChange());
  }
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.fatal && data.type === Hls.ErrorTypes.MEDIA_ERROR && recoveries < MEDIA_RECOVERIES_MAX) {
      recoveries += 1;
      hls.recoverMediaError();
      onProblem({ ...fromHls(data), fatal: false });
      return;
    }
    onProblem(fromHls(data));
  });

  const rendition = (level, id) => ({
    id, width: level.width, height: level.height, bitrate: level.averageBitrate || level.bitrate,
    frameRate: level.frameRate, codecs: [level.videoCodec, level.audioCodec].filter(Boolean).join(', '),
  });
  return {
    load: (url) => new Promise((resolve) => {
      hls.once(Hls.Events.MANIFEST_PARSED, resolve);
      hls.once(Hls.Events.DESTROYING, resolve);
      hls.loadSource(url);
      hls.attachMedia(video);
    }),
    destroy: () => hls.destroy(),
    renditions: () => hls.levels.map(rendition),
    rendition: () => (hls.levels[hls.currentLevel] ? rendition(hls.levels[hls.currentLevel], hls.currentLevel) : null),
    fixedRendition: () => (hls.autoLevelEnabled ? null : hls.manualLevel),
    fixRendition: (id) => { hls.nextLevel = id ?? -1; },
    audio: () => hls.audioTracks.map(({ lang, name }, id) => ({ id, language: lang, name, active: id === hls.audioTrack })),
    selectAudio: (id) => { hls.audioTrack = id; },
    text: () => hls.subtitleTracks.map(({ lang, name }, id) => ({ id, language: lang, name, active: id === hls.subtitleTrack })),
    selectText: (id) => {
      hls.subtitleDisplay = id !== null;
      hls.subtitleTrack = id ?? -1;
    },
    bandwidth: () => hls.bandwidthEstimate,
    latency: () => (hls.levels[hls.currentLevel]?.details?.live ? hls.latency : null),
  };
}
