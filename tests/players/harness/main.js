// Runs inside Chromium: plays one URL as the case demands and returns what was seen and heard.
// It judges nothing; lib/judge.mjs does.

import { BarcodeReader } from './barcode.js';
import { PLAYERS } from './players.js';
import { Listener } from './sound.js';
import { playTrick } from './trick.js';

const FRAMES_MAX = 20000;
const SEEK_TIMEOUT_MS = 15000;
const STEP_TIMEOUT_MS = 20000;
// hls.js switches after the segment that follows the playing one: two segments of six seconds.
const SWITCH_ROOM_SECONDS = 13;
const SETTLE_MS = 700;

const video = document.getElementById('video');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Evidence {
  errors = [];
  frames = []; // {phase, mediaTime, number, shownAt, width, height}
  seeks = [];
  switches = [];
  stalls = [];
  tones = {};
  cues = [];
  phase = 'start';
}

/** `options` is the normalised case of lib/options.mjs. */
window.runCase = async (options) => {
  const evidence = new Evidence();
  window.evidence = evidence; // for a case that times out
  try {
    await play(options, evidence);
  } catch (error) {
    evidence.failure = String(error?.message || error);
  }
  return { ...evidence, ...closing() };
};

async function play(options, evidence) {
  const startedAt = performance.now();
  const adapter = await PLAYERS[options.player](video, options.config, (error) => evidence.errors.push(error));
  evidence.version = adapter.version;
  const listener = options.listen ? await Listener.attach(video, options.avsync) : null;
  evidence.beeps = listener?.beeps;
  watchFrames(evidence);
  watchStalls(evidence);
  await adapter.load(options.url);
  await video.play();
  await until(() => evidence.frames.length > 0, 'no picture');
  evidence.startupMs = Math.round(performance.now() - startedAt);
  evidence.renditions = adapter.renditions();
  evidence.audioLanguages = adapter.audio();
  evidence.textLanguages = adapter.text();

  if (options.text) await watchText(adapter, options.text, evidence);
  await playOn(options.seconds, evidence, 'play');
  if (listener && options.tones) await probeTones(adapter, listener, options.tones, evidence);
  if (options.switch) await switchRenditions(adapter, evidence);
  if (options.trickGop !== null) {
    await playTrick(adapter, video, options.trickGop / options.fps, evidence);
    await keepAwayFromEnd(3);
    await playOn(1, evidence, 'after trick');
  }
  for (const fraction of options.seekFractions) await seek(fraction, evidence);
  if (options.toEnd) await playToEnd(evidence);
  evidence.latencyMs = listener?.latencyMs;
}

function watchFrames(evidence) {
  const reader = new BarcodeReader();
  const onFrame = (_, metadata) => {
    video.requestVideoFrameCallback(onFrame);
    if (evidence.frames.length >= FRAMES_MAX) return;
    const { expectedDisplayTime, width, height } = metadata;
    const entry = { phase: evidence.phase, mediaTime: metadata.mediaTime, shownAt: expectedDisplayTime, width, height };
    // A VideoFrame holds picture and timestamp of one and the same frame; the element may already
    // show the next one.
    try {
      const frame = new VideoFrame(video);
      entry.mediaTime = frame.timestamp / 1e6;
      entry.number = reader.read(frame, frame.displayWidth, frame.displayHeight);
      frame.close();
    } catch {
      entry.number = null;
    }
    evidence.frames.push(entry);
  };
  video.requestVideoFrameCallback(onFrame);
}

// Waiting for data while neither seeking nor switching.
function watchStalls(evidence) {
  let waitingSince = null;
  video.addEventListener('waiting', () => {
    if (evidence.phase !== 'start' && !video.seeking && !video.ended) waitingSince = performance.now();
  });
  const resume = () => {
    if (waitingSince === null) return;
    evidence.stalls.push({ phase: evidence.phase, at: video.currentTime, ms: Math.round(performance.now() - waitingSince) });
    waitingSince = null;
  };
  video.addEventListener('playing', resume);
  video.addEventListener('seeking', () => { waitingSince = null; });
}

async function watchText(adapter, language, evidence) {
  adapter.selectText(language);
  const seen = new Set();
  setInterval(() => {
    for (const track of video.textTracks) {
      if (track.mode === 'disabled') continue;
      for (const cue of track.activeCues || []) {
        const key = `${cue.startTime.toFixed(3)} ${cue.endTime.toFixed(3)} ${cue.text}`;
        if (seen.has(key)) continue;
        seen.add(key);
        evidence.cues.push({ start: cue.startTime, end: cue.endTime, text: cue.text, at: video.currentTime });
      }
    }
  }, 50);
}

async function playOn(seconds, evidence, phase) {
  const from = video.currentTime;
  const target = Math.min(from + seconds, video.duration - 0.05);
  evidence.phase = phase;
  if (video.paused) await video.play();
  const limitMs = seconds * 3000 + STEP_TIMEOUT_MS;
  await until(() => video.currentTime >= target || video.ended, `playback stuck at ${from}`, limitMs);
}

// The tone of each language, after it was chosen; `tones` maps languages to what is expected.
async function probeTones(adapter, listener, tones, evidence) {
  const languages = Object.keys(tones);
  for (const language of languages) {
    evidence.phase = `audio ${language}`;
    if (adapter.audio().length > 1 || languages.length > 1) adapter.selectAudio(language);
    const deadline = performance.now() + STEP_TIMEOUT_MS / 2;
    do {
      await keepAwayFromEnd(3);
      await sleep(SETTLE_MS);
      evidence.tones[language] = listener.toneHz();
    } while (Math.abs(evidence.tones[language] - tones[language]) > 8 && performance.now() < deadline);
  }
}

async function switchRenditions(adapter, evidence) {
  const renditions = adapter.renditions();
  for (const target of [...renditions, ...renditions.slice(0, 1)]) {
    await keepAwayFromEnd(SWITCH_ROOM_SECONDS);
    evidence.phase = `switch ${target.width}x${target.height}`;
    const from = video.currentTime;
    const mark = evidence.frames.length;
    adapter.fix(target.id);
    const arrived = () => evidence.frames.slice(mark).some(({ width, height }) => width === target.width && height === target.height);
    await until(() => arrived() || video.ended, `rendition ${target.width}x${target.height} never came`);
    await sleep(SETTLE_MS);
    evidence.switches.push({ to: `${target.width}x${target.height}`, from, at: video.currentTime, ranges: ranges(), arrived: arrived() });
  }
}

async function seek(fraction, evidence) {
  evidence.phase = 'seek';
  video.pause();
  // Half a second short of the end, where every player still has a picture.
  const target = Math.max(0, video.duration - 0.5) * fraction;
  const mark = evidence.frames.length;
  const startedAt = performance.now();
  video.currentTime = target;
  await until(() => !video.seeking && video.readyState >= 2, `seek to ${target.toFixed(3)} never ended`, SEEK_TIMEOUT_MS);
  await until(() => evidence.frames.length > mark, `no picture after the seek to ${target.toFixed(3)}`, SEEK_TIMEOUT_MS);
  const tookMs = Math.round(performance.now() - startedAt);
  await sleep(150);
  const frame = evidence.frames.at(-1);
  evidence.seeks.push({ target, currentTime: video.currentTime, number: frame.number, mediaTime: frame.mediaTime, tookMs });
  await playOn(0.5, evidence, 'after seek');
}

async function playToEnd(evidence) {
  evidence.phase = 'seek';
  video.currentTime = Math.max(0, video.duration - 2);
  await until(() => !video.seeking, 'seek to the end never ended', SEEK_TIMEOUT_MS);
  evidence.phase = 'end';
  await video.play();
  await until(() => video.ended, `the end never came, stuck at ${video.currentTime}`);
  await sleep(200);
}

async function keepAwayFromEnd(seconds) {
  if (video.duration - video.currentTime < seconds) {
    video.currentTime = 0.5;
    await until(() => !video.seeking && video.readyState >= 3, 'seek back never ended', SEEK_TIMEOUT_MS);
  }
  if (video.paused) await video.play();
}

async function until(condition, message, timeoutMs = STEP_TIMEOUT_MS) {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (video.error) throw new Error(`media error ${video.error.code}: ${video.error.message}`);
    if (performance.now() > deadline) throw new Error(`${message} (${timeoutMs} ms; at ${video.currentTime}, paused ${video.paused}, rate ${video.playbackRate}, readyState ${video.readyState}, buffered ${JSON.stringify(ranges())})`);
    await sleep(20);
  }
}

function ranges() {
  const { buffered } = video;
  return Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);
}

function closing() {
  const quality = video.getVideoPlaybackQuality();
  return {
    duration: video.duration,
    ranges: ranges(),
    ended: video.ended,
    framesTotal: quality.totalVideoFrames,
    framesDropped: quality.droppedVideoFrames,
    resources: performance.getEntriesByType('resource').map(({ name, nextHopProtocol }) => [name, nextHopProtocol]),
  };
}

window.harnessReady = true;
