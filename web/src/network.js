// What the browser tells about the requests for media: protocol, bytes, time of the last file.

const MEDIA = /\.(m4s|mp4|m4a|m4v|ts|aac|vtt|m3u8|mpd|cmfv|cmfa|cmft)(\?|$)|\/(vod|live|ssai|ad)\//;

export class Network {
  constructor() {
    this.reset();
    if (!window.PerformanceObserver?.supportedEntryTypes?.includes('resource')) return;
    // Observers get every entry, even when the timeline itself is full.
    new PerformanceObserver((list) => list.getEntries().forEach((entry) => this.add(entry))).observe({ type: 'resource', buffered: false });
  }

  reset() {
    this.requests = 0;
    this.bytes = 0;
    this.protocols = new Set();
    this.last = null;
  }

  add({ name, nextHopProtocol, transferSize, encodedBodySize, responseStart, responseEnd, requestStart, initiatorType }) {
    if (initiatorType === 'img' || !MEDIA.test(name)) return;
    this.requests += 1;
    this.bytes += encodedBodySize || transferSize || 0;
    if (nextHopProtocol) this.protocols.add(nextHopProtocol);
    this.last = { url: name, bytes: encodedBodySize || transferSize || 0, firstByteMs: responseStart - requestStart, totalMs: responseEnd - requestStart };
  }
}
