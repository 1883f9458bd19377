// The options of a case: from the command line or from a JSON object, checked and completed.

import { parseArgs } from 'node:util';

export const USAGE = `usage: node play.mjs --url URL --player hls.js|shaka|dash.js|native [options]

  --seconds N            plain playback, in seconds of media (6)
  --seeks N              random seeks, each to be answered with the right picture (0)
  --seed N               of the random seeks (1)
  --switch               go through all renditions and back to the first
  --barcode FPS          pictures carry frame numbers at FPS, such as 25 or 30000/1001
  --barcode-first N      frame number of the picture at time 0 (0)
  --offset-ms-max N      a constant distance between pictures and their media times that is let pass (25:
                         players that ignore edit lists start at the priming of the audio)
  --seek-frames-max N    how many frames a seek or the end may be off (1; more where the rate varies)
  --frames N             frame numbers end at first + N - 1; seen with --to-end
  --to-end               play the last two seconds and demand 'ended'
  --audio-probe          measure the tone of each language of --tones
  --tones LIST           expected tones, such as eng=441,fra=662 (with --audio-probe)
  --avsync HZ            a beep of HZ on each whole second, compared with the barcode's time
  --beep-phase S         media time of the first beep (0)
  --avsync-ms-max N      (45; the measuring floor is 0 to 15)
  --trick N              play I-frames, of which there is one each N pictures, and demand no others
  --text LANGUAGE        show subtitles of that language and demand cues
  --text-match REGEX     that each cue must match
  --renditions-min N     distinct picture sizes that must have been played (1; all with --switch)
  --protocol NAME        every media response must use it: http/1.1, h2, h3
  --stalls-max N         (0)
  --config JSON          handed to the player
  --expect-error REGEX   the case passes when the player fails with a matching error
  --timeout S            of the whole case (120)
  --screenshot FILE      of the page at the end
  --h3 HOST:PORT  --map HOST:ADDRESS  --ignore-certificate    of the browser (play.mjs alone)
  --verbose              all frames in the output`;

const STRINGS = ['url', 'player', 'seconds', 'seeks', 'seed', 'barcode', 'barcode-first', 'offset-ms-max', 'seek-frames-max', 'frames', 'tones',
  'avsync', 'beep-phase', 'avsync-ms-max', 'trick', 'text', 'text-match', 'renditions-min', 'protocol', 'stalls-max', 'config',
  'expect-error', 'timeout', 'screenshot', 'h3', 'map'];
const FLAGS = ['switch', 'to-end', 'audio-probe', 'ignore-certificate', 'verbose', 'help'];
const DEFAULTS = { seconds: 6, seeks: 0, seed: 1, 'barcode-first': 0, 'offset-ms-max': 25, 'seek-frames-max': 1, 'beep-phase': 0,
  'avsync-ms-max': 45, 'stalls-max': 0, timeout: 120 };
const PLAYER_NAMES = ['hls.js', 'shaka', 'dash.js', 'native'];

export function parseCommandLine(argv) {
  const options = Object.fromEntries([...STRINGS.map((name) => [name, { type: 'string' }]), ...FLAGS.map((name) => [name, { type: 'boolean' }])]);
  const { values } = parseArgs({ args: argv, options });
  return values;
}

/** Throws an Error naming the option that is wrong. `raw` uses the names of the command line. */
export function normalise(raw) {
  for (const name of Object.keys(raw)) {
    if (![...STRINGS, ...FLAGS, 'name'].includes(name)) throw new Error(`unknown option ${name}`);
  }
  if (!raw.url) throw new Error('--url is missing');
  if (!PLAYER_NAMES.includes(raw.player)) throw new Error(`--player must be one of ${PLAYER_NAMES.join(', ')}`);
  const number = (name) => {
    const value = Number(raw[name] ?? DEFAULTS[name]);
    if (!Number.isFinite(value)) throw new Error(`--${name} is not a number: ${raw[name]}`);
    return value;
  };
  const optional = (name) => (raw[name] === undefined ? null : number(name));
  const tones = raw['audio-probe'] || raw.tones ? parseTones(raw.tones) : null;
  if (raw.trick !== undefined && raw.barcode === undefined) throw new Error('--trick needs --barcode');
  return {
    name: raw.name || `${raw.player} ${new URL(raw.url).pathname}`,
    url: raw.url,
    player: raw.player,
    seconds: number('seconds'),
    seekFractions: fractions(number('seeks'), number('seed')),
    switch: Boolean(raw.switch),
    fps: raw.barcode === undefined ? null : parseRate(raw.barcode),
    barcodeFirst: number('barcode-first'),
    offsetMsMax: number('offset-ms-max'),
    seekFramesMax: number('seek-frames-max'),
    frames: optional('frames'),
    toEnd: Boolean(raw['to-end']),
    tones,
    avsync: optional('avsync'),
    beepPhase: number('beep-phase'),
    avsyncMsMax: number('avsync-ms-max'),
    listen: Boolean(tones || raw.avsync),
    trickGop: optional('trick'),
    text: raw.text ?? null,
    textMatch: raw['text-match'] ?? null,
    renditionsMin: optional('renditions-min'),
    protocol: raw.protocol ?? null,
    stallsMax: number('stalls-max'),
    config: typeof raw.config === 'string' ? JSON.parse(raw.config) : raw.config || {},
    expectError: raw['expect-error'] ?? null,
    timeoutSeconds: number('timeout'),
    screenshot: raw.screenshot ?? null,
    verbose: Boolean(raw.verbose),
  };
}

function parseRate(text) {
  const [numerator, denominator = '1'] = String(text).split('/');
  const rate = Number(numerator) / Number(denominator);
  if (!(rate > 0)) throw new Error(`--barcode is not a frame rate: ${text}`);
  return rate;
}

function parseTones(text) {
  if (!text) throw new Error('--audio-probe needs --tones, such as eng=441,fra=662');
  return Object.fromEntries(text.split(',').map((pair) => {
    const [language, hz] = pair.split('=');
    if (!(Number(hz) > 0)) throw new Error(`--tones: ${pair} is not LANGUAGE=HZ`);
    return [language, Number(hz)];
  }));
}

/** `count` numbers in [0, 1) from a seed (mulberry32), so that a failing seek can be repeated. */
export function fractions(count, seed) {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  });
}
