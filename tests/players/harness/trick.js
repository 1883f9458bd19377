// Trick play: pictures that stand alone, shown faster than they were filmed.
//
// Players offer it in two ways. shaka-player plays on at a higher rate and takes I-frames in place
// of segments; hls.js shows the I-frame at a given time in a video element of its own.

import { BarcodeReader } from './barcode.js';

const RATE = 4;
const PICTURES_MAX = 8; // on the way there, and the same number on the way back
const WAIT_MS = 8000;
const ASK_AGAIN_MS = 1000;
const SETTLE_MS = 300;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Shows I-frames, of which there is one each `period` seconds, and writes to `evidence.trick` what
 * was asked for and what was seen.
 */
export async function playTrick(adapter, video, period, evidence) {
  evidence.trick = [];
  if (adapter.iframePlayer) return scrub(adapter, video, period, evidence);
  if (adapter.trickPlay) return fastForward(adapter, video, evidence);
  throw new Error('this player has no trick play');
}

async function fastForward(adapter, video, evidence) {
  video.currentTime = 0;
  await video.play();
  evidence.phase = 'trick';
  const mark = evidence.frames.length;
  adapter.trickPlay(RATE);
  const deadline = performance.now() + (video.duration / RATE) * 2000 + WAIT_MS;
  // The end would cancel it.
  while (video.currentTime < video.duration - 1.5) {
    if (performance.now() > deadline) throw new Error(`trick play is stuck at ${video.currentTime}`);
    await sleep(20);
  }
  evidence.trick = evidence.frames.slice(mark).map(({ number, mediaTime }) => ({ number, mediaTime }));
  adapter.cancelTrickPlay();
}

async function scrub(adapter, video, period, evidence) {
  evidence.phase = 'trick';
  video.pause();
  const element = document.createElement('video');
  element.muted = true;
  document.body.append(element);
  const player = await adapter.iframePlayer(element);
  const reader = new BarcodeReader();
  const picture = () => {
    try {
      const frame = new VideoFrame(element);
      const number = reader.read(frame, frame.displayWidth, frame.displayHeight);
      frame.close();
      return number;
    } catch {
      return null; // nothing was decoded yet
    }
  };
  // In the middle of what each I-frame stands for: hls.js takes the neighbour near an edge.
  const count = Math.floor(video.duration / period);
  const step = Math.ceil(count / PICTURES_MAX);
  const forth = Array.from({ length: Math.ceil(count / step) }, (_, index) => (index * step + 0.5) * period);
  for (const target of [...forth, ...forth.slice(0, -1).toReversed()]) {
    const before = picture();
    evidence.trick.push({ target, number: await show(player, target, picture, before) });
  }
  player.destroy();
  element.remove();
}

// Each target has another picture than the one before. What is asked before the player has read its
// playlist is lost, as a pointer that moves on would not notice.
async function show(player, target, picture, before) {
  const deadline = performance.now() + WAIT_MS;
  while (performance.now() < deadline) {
    player.showAt(target);
    for (const until = performance.now() + ASK_AGAIN_MS; performance.now() < until; await sleep(20)) {
      if (picture() === null || picture() === before) continue;
      await sleep(SETTLE_MS); // one that is passed through is no answer
      return picture();
    }
  }
  return picture();
}
