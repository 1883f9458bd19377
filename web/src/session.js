// One playing: a fresh video element, one player, one manifest. Choosing another title, player or
// format ends the session and opens the next one, so that nothing of the last player is left behind
// (a video element never forgets its text tracks).

import { element } from './dom.js';
import { fromMediaError } from './problem.js';

export class Session {
  /** `on`: {change(), problem(problem), event(text, kind)}. */
  constructor({ title, playerId, player, format, url }, on) {
    Object.assign(this, { title, playerId, player, format, url, on });
    this.video = element('video', { playsinline: true, preload: 'auto', poster: title.poster, 'aria-label': title.title, tabindex: '-1' });
    this.adapter = null;
    this.closed = false;
    this.stalls = { count: 0, ms: 0 };
    this.watchStalls();
  }

  async open({ startSeconds = 0 } = {}) {
    const { video, on } = this;
    const alive = (callback) => (...values) => { if (!this.closed) callback(...values); };
    video.addEventListener('loadedmetadata', () => {
      if (startSeconds > 0) video.currentTime = Math.min(startSeconds, Math.max(0, video.duration - 0.5));
    }, { once: true });
    try {
      const adapter = await this.player.create(video, { onChange: alive(() => on.change()), onProblem: alive((problem) => on.problem(problem)) });
      if (this.closed) return adapter.destroy();
      this.adapter = adapter;
      await adapter.load(this.url);
      if (!this.closed) on.change();
    } catch (error) {
      if (!this.closed) on.problem({ fatal: true, headline: error.message, advice: 'Another player may work.', url: this.url, code: this.playerId });
    }
  }

  close() {
    this.closed = true;
    this.video.pause();
    Promise.resolve(this.adapter?.destroy()).catch(() => {}); // it is thrown away in any state
    this.video.remove();
  }

  play() {
    this.video.play().catch((error) => {
      // NotAllowedError: the browser wants a click first, and the start button is there for it.
      if (this.closed || ['NotAllowedError', 'AbortError'].includes(error.name)) return;
      if (this.video.error) this.on.problem(fromMediaError(this.video.error, this.url));
    });
  }

  /** Seconds buffered from the playhead on, in one piece. */
  bufferAhead() {
    const { buffered, currentTime } = this.video;
    for (let i = 0; i < buffered.length; i++) {
      if (buffered.start(i) <= currentTime + 0.1 && currentTime < buffered.end(i)) return buffered.end(i) - currentTime;
    }
    return 0;
  }

  // Waiting for data in the middle of playback; waiting after a seek is not a stall.
  watchStalls() {
    const { video, stalls } = this;
    let since = null;
    video.addEventListener('waiting', () => {
      if (!video.seeking && video.currentTime > 0.2 && !video.ended) since = performance.now();
    });
    video.addEventListener('seeking', () => { since = null; });
    video.addEventListener('playing', () => {
      if (since === null) return;
      const ms = performance.now() - since;
      since = null;
      stalls.count += 1;
      stalls.ms += ms;
      if (!this.closed) this.on.event(`stalled for ${(ms / 1000).toFixed(2)} s`, 'note');
    });
  }
}
