// shaka-player behind the page's player interface (players/index.js).

import { loadScript } from '../dom.js';
import { LIBRARIES } from '../libraries.js';
import { fromShaka } from '../problem.js';

export async function createShaka(video, { onChange, onProblem }) {
  if (!window.shaka) {
    await loadScript(LIBRARIES.shaka.path);
    window.shaka.polyfill.installAll();
  }
  const { shaka } = window;
  if (!shaka.Player.isBrowserSupported()) throw new Error('This browser has no Media Source Extensions, which shaka-player needs.');
  const player = new shaka.Player();
  player.configure({ streaming: { bufferingGoal: 30, bufferBehind: 60 } });
  await player.attach(video);

  let fixed = null;
  for (const event of ['adaptation', 'variantchanged', 'trackschanged', 'textchanged', 'audiotrackchanged', 'audiotrackschanged']) {
    player.addEventListener(event, () => onChange());
  }
  player.addEventListener('error', ({ detail }) => onProblem(fromShaka(detail)));

  const videoTracks = () => player.getVideoTracks();
  const rendition = (track, id) => {
    const variant = player.getVariantTracks().find((candidate) => candidate.active);
    return {
      id, width: track.width, height: track.height, bitrate: track.bandwidth, frameRate: track.frameRate,
      codecs: [track.codecs, variant?.audioCodec].filter(Boolean).join(', '),
    };
  };
  const listed = (tracks) => tracks.map(({ language, label, active }, id) => ({ id, language, name: label, active }));
  return {
    load: (url) => player.load(url).catch((error) => {
      // 7000: another load or destroy() came first.
      if (error.code !== 7000) onProblem({ ...fromShaka(error), fatal: true });
    }),
    destroy: () => player.destroy(),
    renditions: () => videoTracks().map(rendition),
    rendition: () => {
      const id = videoTracks().findIndex(({ active }) => active);
      return id < 0 ? null : rendition(videoTracks()[id], id);
    },
    fixedRendition: () => fixed,
    fixRendition: (id) => {
      fixed = id;
      player.configure('abr.enabled', id === null);
      // Two segments are kept, so that the picture goes on while the new rendition arrives.
      if (id !== null) player.selectVideoTrack(videoTracks()[id], true, 4);
    },
    audio: () => listed(player.getAudioTracks()),
    selectAudio: (id) => player.selectAudioTrack(player.getAudioTracks()[id], 1),
    text: () => listed(player.getTextTracks()),
    selectText: (id) => player.selectTextTrack(id === null ? null : player.getTextTracks()[id]),
    bandwidth: () => player.getStats().estimatedBandwidth,
    latency: () => (player.isLive() ? player.getStats().liveLatency : null),
  };
}
