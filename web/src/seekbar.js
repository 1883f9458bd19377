// The seek bar: position, buffered ranges, preview of the picture under the pointer.

import { byId, element, setText } from './dom.js';
import { clock } from './format.js';
import { thumbnailAt } from './thumbnails.js';

export class SeekBar {
  constructor() {
    this.bar = byId('seek');
    this.input = byId('seek-input');
    this.preview = byId('preview');
    this.thumbnails = [];
    this.video = null;
    this.held = false;
    this.input.addEventListener('input', () => {
      this.held = true;
      if (this.video) this.video.currentTime = Number(this.input.value) * this.video.duration;
    });
    this.input.addEventListener('change', () => { this.held = false; });
    this.bar.addEventListener('pointermove', (event) => this.showPreview(event));
    this.bar.addEventListener('pointerleave', () => { this.preview.hidden = true; });
    // Arrow keys belong to the page's shortcuts, which step by seconds instead of by pixels.
    this.input.addEventListener('keydown', (event) => { if (/^(Arrow|Page|Home|End)/.test(event.key)) event.preventDefault(); });
  }

  attach(video) {
    this.video = video;
    this.thumbnails = [];
    this.update();
  }

  update() {
    const { currentTime, duration, buffered } = this.video;
    const known = Number.isFinite(duration) && duration > 0;
    this.input.disabled = !known;
    const share = known ? Math.min(1, currentTime / duration) : 0;
    if (!this.held) this.input.value = share;
    this.input.setAttribute('aria-valuetext', known ? `${clock(currentTime)} of ${clock(duration)}` : 'not loaded');
    byId('seek-played').style.width = `${share * 100}%`;
    setText(byId('time-now'), clock(currentTime));
    setText(byId('time-total'), clock(duration));
    const ranges = known ? Array.from({ length: buffered.length }, (_, i) => [buffered.start(i) / duration, buffered.end(i) / duration]) : [];
    byId('seek-buffered').replaceChildren(...ranges.map(([start, end]) => {
      const range = element('span');
      range.style.left = `${start * 100}%`;
      range.style.width = `${(end - start) * 100}%`;
      return range;
    }));
  }

  showPreview(event) {
    if (!this.video || this.input.disabled || event.pointerType === 'touch') return;
    const box = this.bar.getBoundingClientRect();
    const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    const time = share * this.video.duration;
    const tile = thumbnailAt(this.thumbnails, time);
    const picture = byId('preview-picture');
    picture.hidden = !tile;
    if (tile) {
      picture.style.width = `${tile.width}px`;
      picture.style.height = `${tile.height}px`;
      picture.style.backgroundImage = `url("${tile.url}")`;
      picture.style.backgroundPosition = `-${tile.x}px -${tile.y}px`;
    }
    setText(byId('preview-time'), clock(time));
    this.preview.hidden = false;
    const half = (tile ? tile.width : 60) / 2;
    this.preview.style.left = `${Math.min(box.width - half, Math.max(half, share * box.width))}px`;
  }
}
