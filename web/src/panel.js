// The live panel: what is playing, how it travels, what happened.

import { byId, element, setText } from './dom.js';
import { bitrate, bytes, clock, fileName, languageName, protocolName } from './format.js';

const HISTORY_SAMPLES_MAX = 120; // half a minute at four a second
const EVENTS_MAX = 200;
const SVG = 'http://www.w3.org/2000/svg';

export class Panel {
  constructor(network) {
    this.network = network;
    this.openedAt = performance.now();
    this.buffer = new Graph(byId('g-buffer'));
    this.bandwidth = new Graph(byId('g-bandwidth'));
  }

  /** A new session: old values would be of another player. */
  reset() {
    this.buffer.clear();
    this.bandwidth.clear();
    this.network.reset();
    this.rate = null;
    for (const node of document.querySelectorAll('[id^="p-"]')) setText(node, '–');
  }

  update(session) {
    const { video, adapter } = session;
    const ahead = session.bufferAhead();
    setText(byId('p-buffer'), `${ahead.toFixed(1)} s`);
    this.buffer.add(ahead);
    // Before the first picture it is the player's guess.
    const estimate = video.readyState >= 2 ? adapter?.bandwidth() : 0;
    setText(byId('p-bandwidth'), estimate ? bitrate(estimate) : video.readyState >= 2 ? 'not told' : '–');
    this.bandwidth.add(estimate || 0);
    this.showMedia(session);
    this.showFrames(video);
    setText(byId('p-stalls'), session.stalls.count === 0 ? 'none' : `${session.stalls.count} (${(session.stalls.ms / 1000).toFixed(1)} s)`);
    const latency = adapter?.latency();
    setText(byId('p-latency'), latency === null || latency === undefined ? 'not live' : `${latency.toFixed(1)} s`);
    this.showNetwork();
  }

  showMedia({ video, adapter, title }) {
    if (!adapter || video.readyState === 0) return;
    const rendition = adapter.rendition();
    // The size on screen is the truth; the player may already fetch another rendition.
    const height = video.videoHeight || rendition?.height;
    const shown = adapter.renditions().find((candidate) => candidate.height === height) || rendition;
    if (height) setText(byId('p-rendition'), [`${height}p`, shown?.bitrate ? bitrate(shown.bitrate) : null, modeName(adapter)].filter(Boolean).join(' · '));
    if (video.videoWidth) setText(byId('p-picture'), `${video.videoWidth}×${video.videoHeight}${this.rate ? ` · ${this.rate} fps` : ''}`);
    setText(byId('p-codecs'), shown?.codecs || codecsOf(title, height) || '–');
    const audio = adapter.audio().find(({ active }) => active) || title.tracks?.find(({ kind }) => kind === 'audio');
    setText(byId('p-audio'), audio ? audio.language ? languageName(audio.language) : audio.name || '–' : '–');
  }

  showFrames(video) {
    const { totalVideoFrames, droppedVideoFrames } = video.getVideoPlaybackQuality();
    setText(byId('p-frames'), `${totalVideoFrames} decoded · ${droppedVideoFrames} dropped`);
  }

  showNetwork() {
    const { requests, bytes: total, protocols, last } = this.network;
    if (requests === 0) return;
    setText(byId('p-protocol'), protocols.size > 0 ? [...protocols].map(protocolName).join(', ') : protocolName(''));
    setText(byId('p-transferred'), `${bytes(total)} in ${requests} requests`);
    setText(byId('p-last'), fileName(last.url));
    byId('p-last').title = last.url;
    setText(byId('p-took'), `${last.bytes > 0 ? `${bytes(last.bytes)} in ` : ''}${last.totalMs.toFixed(0)} ms`);
    byId('p-took').title = `First byte after ${last.firstByteMs.toFixed(1)} ms, all after ${last.totalMs.toFixed(1)} ms`;
  }

  /** Frames a second as shown, from the media times of neighbouring pictures. */
  watchRate(session) {
    const { video } = session;
    if (!video.requestVideoFrameCallback) return;
    const steps = [];
    let before = null;
    const onFrame = (_, { mediaTime, presentedFrames }) => {
      if (session.closed) return;
      if (before && presentedFrames === before.presentedFrames + 1 && mediaTime > before.mediaTime) {
        steps.push(mediaTime - before.mediaTime);
        if (steps.length > 50) steps.shift();
        if (steps.length >= 12) this.rate = String(Number((1 / [...steps].sort((a, b) => a - b)[steps.length >> 1]).toFixed(2)));
      }
      before = { mediaTime, presentedFrames };
      video.requestVideoFrameCallback(onFrame);
    };
    video.requestVideoFrameCallback(onFrame);
  }

  /** `kind`: undefined, 'note' or 'bad'. */
  event(text, kind) {
    const list = byId('events');
    const at = clock((performance.now() - this.openedAt) / 1000);
    list.prepend(element('li', { class: kind }, element('time', {}, at), element('span', {}, text)));
    while (list.children.length > EVENTS_MAX) list.lastChild.remove();
  }
}

function modeName(adapter) {
  if (adapter.renditions().length === 0) return 'browser’s choice';
  return adapter.fixedRendition() === null ? 'auto' : 'fixed';
}

function codecsOf(title, height) {
  const tracks = title.tracks || [];
  const video = tracks.find((track) => track.kind === 'video' && track.height === height) || tracks.find(({ kind }) => kind === 'video');
  const audio = tracks.find(({ kind }) => kind === 'audio');
  return [video?.codecs, audio?.codecs].filter(Boolean).join(', ');
}

/** A sparkline in a 120x32 box, newest sample at the right. */
class Graph {
  constructor(svg) {
    this.area = document.createElementNS(SVG, 'path');
    this.area.setAttribute('class', 'area');
    this.line = document.createElementNS(SVG, 'path');
    svg.append(this.area, this.line);
    this.clear();
  }

  clear() {
    this.samples = [];
    this.area.setAttribute('d', '');
    this.line.setAttribute('d', '');
  }

  add(value) {
    this.samples.push(value);
    if (this.samples.length > HISTORY_SAMPLES_MAX) this.samples.shift();
    const top = Math.max(...this.samples) * 1.1 || 1;
    const left = 120 - this.samples.length + 1;
    const points = this.samples.map((sample, i) => `${left + i - 1},${(32 - (sample / top) * 30).toFixed(1)}`);
    this.line.setAttribute('d', `M${points.join('L')}`);
    this.area.setAttribute('d', `M${left - 1},32L${points.join('L')}L119,32Z`);
  }
}
