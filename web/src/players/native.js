// The browser's own player behind the page's player interface (players/index.js). It chooses
// renditions by itself and tells little; what is unknown stays null.

import { fromMediaError } from '../problem.js';

export async function createNative(video, { onChange, onProblem }) {
  let source = null;
  const abort = new AbortController();
  const listen = (target, event, handler) => target?.addEventListener(event, handler, { signal: abort.signal });
  listen(video, 'error', () => source && onProblem(fromMediaError(video.error, source)));
  listen(video, 'resize', () => onChange());
  listen(video.audioTracks, 'addtrack', () => onChange());
  listen(video.textTracks, 'addtrack', () => onChange());

  const texts = () => [...video.textTracks].filter(({ kind }) => kind === 'subtitles' || kind === 'captions');
  const audios = () => [...(video.audioTracks || [])];
  return {
    load: (url) => new Promise((resolve) => {
      source = url;
      listen(video, 'loadedmetadata', resolve);
      listen(video, 'error', resolve);
      video.src = url;
      video.load();
    }),
    destroy: () => {
      source = null;
      abort.abort();
      video.removeAttribute('src');
      video.load();
    },
    renditions: () => [],
    rendition: () => (video.videoHeight ? { id: 0, width: video.videoWidth, height: video.videoHeight, bitrate: null, codecs: null } : null),
    fixedRendition: () => null,
    fixRendition: () => {},
    audio: () => audios().map(({ language, label, enabled }, id) => ({ id, language, name: label, active: enabled })),
    selectAudio: (id) => audios().forEach((track, index) => { track.enabled = index === id; }),
    text: () => texts().map(({ language, label, mode }, id) => ({ id, language, name: label, active: mode === 'showing' })),
    selectText: (id) => texts().forEach((track, index) => { track.mode = index === id ? 'showing' : 'disabled'; }),
    bandwidth: () => null,
    latency: () => null,
  };
}
