// Evidence of one case -> what was wrong with it. Pure, so that its rules are tested without a browser.

const WRONG_SHARE_MAX = 0.02; // pictures caught between two renditions may be unreadable
const TONE_TOLERANCE_HZ = 8;
const STALL_MS_MIN = 100; // shorter waits are the scheduler's on a busy machine
const GAP_SECONDS_MAX = 0.1; // between buffered ranges around what was played
const TRICK_PICTURES_MIN = 3;
const CUE_LATE_SECONDS_MAX = 0.6;

/** Returns `{failures: [text], barcode, avsync, played}`. */
export function judge(options, evidence, network) {
  const failures = [];
  const report = { failures };
  if (options.expectError !== null) {
    judgeExpectedError(options, evidence, failures);
    return report;
  }
  if (evidence.failure) failures.push(evidence.failure);
  for (const error of evidence.errors) {
    if (error.fatal) failures.push(`player error ${error.code}${error.message ? `: ${error.message}` : ''}${error.url ? ` at ${error.url}` : ''}`);
  }
  const stalls = evidence.stalls.filter(({ ms }) => ms >= STALL_MS_MIN);
  if (stalls.length > options.stallsMax) failures.push(`${stalls.length} stalls: ${JSON.stringify(stalls)}`);
  if (options.fps !== null) report.barcode = judgeBarcode(options, evidence, failures);
  if (options.avsync !== null) report.avsync = judgeSync(options, evidence, failures);
  if (options.trickGop !== null) judgeTrick(options, evidence, network, failures);
  judgeTones(options, evidence, failures);
  judgeText(options, evidence, failures);
  report.played = judgeRenditions(options, evidence, failures);
  judgeNetwork(options, network, failures);
  if (options.toEnd && !evidence.ended) failures.push('playback never ended');
  return report;
}

function judgeExpectedError(options, evidence, failures) {
  const seen = [evidence.failure, ...evidence.errors.map(({ code, message }) => `${code} ${message}`)].filter(Boolean);
  if (!seen.some((text) => new RegExp(options.expectError, 'i').test(text))) {
    failures.push(`no error matched /${options.expectError}/, seen: ${JSON.stringify(seen)}`);
  }
}

function judgeBarcode(options, { frames, seeks, ended }, failures) {
  const readable = frames.filter(({ number }) => number !== null);
  const frameMs = 1000 / options.fps;
  const distancesMs = readable.map(({ number, mediaTime }) => (number - options.barcodeFirst) * frameMs - mediaTime * 1000);
  const offsetMs = median(distancesMs);
  const wrong = distancesMs.filter((distance) => Math.abs(distance - offsetMs) > frameMs / 2).length;
  const result = {
    frames: frames.length,
    unreadable: frames.length - readable.length,
    wrong,
    offsetMs: offsetMs === null ? null : round(offsetMs),
    first: readable[0]?.number,
    last: readable.at(-1)?.number,
  };
  if (readable.length === 0) {
    failures.push('no picture with a readable barcode');
    return result;
  }
  if (Math.abs(offsetMs) > options.offsetMsMax) failures.push(`pictures are ${result.offsetMs} ms away from their media time`);
  if (wrong > Math.max(1, readable.length * WRONG_SHARE_MAX)) failures.push(`${wrong} of ${readable.length} pictures are not at their media time`);
  if (result.unreadable > Math.max(1, frames.length * WRONG_SHARE_MAX)) failures.push(`${result.unreadable} of ${frames.length} barcodes unreadable`);
  for (const { target, number } of seeks) {
    const expected = Math.floor((target * 1000 + offsetMs) / frameMs + 1e-3) + options.barcodeFirst;
    if (number === null || Math.abs(number - expected) > options.seekFramesMax) failures.push(`seek to ${target.toFixed(3)} s shows frame ${number}, expected ${expected}`);
  }
  if (options.toEnd && options.frames !== null && ended) {
    const last = options.barcodeFirst + options.frames - 1;
    if (Math.abs(result.last - last) > options.seekFramesMax) failures.push(`the last picture is frame ${result.last}, expected ${last}`);
  }
  return result;
}

// At each beep: the time that the picture on screen proves, against the nearest time of a beep.
// Positive: the sound is late.
function judgeSync(options, { frames, beeps = [] }, failures) {
  if (options.fps === null) throw new Error('--avsync needs --barcode');
  const offsets = [];
  for (const beepAt of beeps) {
    const index = frames.findLastIndex(({ shownAt }) => shownAt <= beepAt);
    const frame = frames[index];
    if (!frame || frame.number === null || beepAt - frame.shownAt > 250 || !(frames[index + 1]?.number >= frame.number)) continue;
    const pictureTime = (frame.number - options.barcodeFirst) / options.fps + (beepAt - frame.shownAt) / 1000 - options.beepPhase;
    offsets.push((pictureTime - Math.round(pictureTime)) * 1000);
  }
  const result = { beeps: beeps.length, used: offsets.length, avOffsetMs: offsets.length ? round(median(offsets)) : null };
  if (offsets.length < 2) failures.push(`only ${offsets.length} beeps could be compared with the picture`);
  else if (Math.abs(result.avOffsetMs) > options.avsyncMsMax) failures.push(`sound is ${result.avOffsetMs} ms away from the picture`);
  return result;
}

// Either each picture answers a time that was asked for, or they follow one another: what is
// buffered when trick play begins is played out first.
function judgeTrick({ trickGop, fps, barcodeFirst }, { trick = [], frames }, { iframes }, failures) {
  if (iframes < TRICK_PICTURES_MIN) failures.push(`${iframes} I-frames were requested`);
  const asked = trick.filter(({ target }) => target !== undefined);
  for (const { target, number } of asked) {
    const expected = barcodeFirst + Math.floor((target * fps) / trickGop) * trickGop;
    if (number !== expected) failures.push(`trick play at ${target.toFixed(3)} s shows frame ${number}, expected ${expected}`);
  }
  if (asked.length === 0) {
    const steps = differences(trick).filter(({ from, step }) => step === trickGop && (from - barcodeFirst) % trickGop === 0);
    if (steps.length < TRICK_PICTURES_MIN) failures.push(`trick play went from I-frame to I-frame ${steps.length} times`);
  }
  if (!differences(frames.filter(({ phase }) => phase === 'after trick')).some(({ step }) => step === 1)) {
    failures.push('after trick play, pictures do not follow one another');
  }
}

function differences(frames) {
  const numbers = frames.map(({ number }) => number).filter((number) => number !== null);
  return numbers.slice(1).map((number, index) => ({ from: numbers[index], step: number - numbers[index] }));
}

function judgeTones({ tones }, evidence, failures) {
  for (const [language, hz] of Object.entries(tones || {})) {
    const heard = evidence.tones[language];
    if (!(Math.abs(heard - hz) <= TONE_TOLERANCE_HZ) || heard === null) failures.push(`audio ${language}: heard ${heard} Hz, expected ${hz}`);
  }
}

function judgeText({ text, textMatch }, { cues }, failures) {
  if (text === null) return;
  if (cues.length < 2) failures.push(`${cues.length} subtitle cues of ${text} seen`);
  for (const cue of cues) {
    if (textMatch !== null && !new RegExp(textMatch).test(cue.text)) failures.push(`cue '${cue.text}' does not match /${textMatch}/`);
    if (cue.at < cue.start - 0.1 || cue.at > cue.end + CUE_LATE_SECONDS_MAX) failures.push(`cue '${cue.text}' of ${cue.start} s active at ${cue.at} s`);
  }
}

function judgeRenditions(options, { frames, switches, ranges, renditions = [] }, failures) {
  const played = [...new Set(frames.map(({ width, height }) => `${width}x${height}`))];
  const offered = new Set(renditions.map(({ width, height }) => `${width}x${height}`)).size;
  const wanted = options.renditionsMin ?? (options.switch ? offered : 1);
  if (played.length < wanted) failures.push(`played ${played.length} renditions (${played}), expected ${wanted}`);
  for (const { to, from, at, ranges: buffered, arrived } of switches) {
    if (!arrived) failures.push(`rendition ${to} never came`);
    if (at >= from && !covers(buffered, from, at)) failures.push(`gap in the buffer at the switch to ${to}: ${JSON.stringify(buffered)}`);
  }
  if (options.seekFractions.length === 0 && !options.toEnd && !options.switch && ranges.length > 1 && ranges[1][0] - ranges[0][1] > GAP_SECONDS_MAX) {
    failures.push(`buffered ranges have a gap: ${JSON.stringify(ranges)}`);
  }
  return played;
}

// Whether what was played lies in one buffered range; players may drop what is behind.
function covers(buffered, from, at) {
  const range = buffered.find(([start, end]) => start <= at && at <= end + GAP_SECONDS_MAX);
  if (!range) return false;
  const earlier = buffered.filter(([, end]) => end < range[0] && end > from);
  return earlier.every(([, end]) => range[0] - end <= GAP_SECONDS_MAX);
}

function judgeNetwork({ protocol }, { bad, protocols }, failures) {
  for (const { url, reason } of bad) failures.push(`${reason}: ${url}`);
  const others = Object.keys(protocols).filter((name) => name !== protocol);
  if (protocol !== null && others.length > 0) failures.push(`protocols used: ${JSON.stringify(protocols)}, expected ${protocol} alone`);
}

export function median(values) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

const round = (value) => Math.round(value * 10) / 10;
