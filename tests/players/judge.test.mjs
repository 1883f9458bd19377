import assert from 'node:assert/strict';
import test from 'node:test';
import { judge } from './lib/judge.mjs';
import { fractions, normalise } from './lib/options.mjs';

const NETWORK = { bad: [], protocols: { 'http/1.1': 12 }, requests: 12 };

function evidence(changes = {}) {
  const frames = Array.from({ length: 100 }, (_, number) => ({ mediaTime: number / 25, number, shownAt: 1000 + number * 40, width: 640, height: 360 }));
  return { errors: [], frames, seeks: [], switches: [], stalls: [], tones: {}, cues: [], ranges: [[0, 4]], renditions: [], beeps: [1000, 2000, 3000, 4000], ended: false, ...changes };
}

function failures(options, seen = evidence(), network = NETWORK) {
  return judge(normalise({ url: 'http://host/a.mpd', player: 'shaka', ...options }), seen, network).failures;
}

function check(options, seen, pattern, network) {
  const found = failures(options, seen, network);
  assert.equal(found.length, 1, JSON.stringify(found));
  assert.match(found[0], pattern);
}

test('clean evidence passes', () => {
  assert.deepEqual(failures({ barcode: '25', avsync: '1760' }), []);
});

test('pictures away from their media time fail', () => {
  const moved = evidence();
  for (const frame of moved.frames) frame.mediaTime += 0.08;
  check({ barcode: '25' }, moved, /-80 ms away/);
  const jump = evidence();
  for (const frame of jump.frames.slice(70)) frame.number += 2;
  check({ barcode: '25' }, jump, /30 of 100 pictures/);
});

test('an unreadable picture is no proof', () => {
  const black = evidence();
  for (const frame of black.frames) frame.number = null;
  check({ barcode: '25' }, black, /readable/);
});

test('a seek must land on the right picture', () => {
  check({ barcode: '25' }, evidence({ seeks: [{ target: 1.0, number: 22 }] }), /seek to 1.000 s shows frame 22, expected 25/);
  assert.deepEqual(failures({ barcode: '25' }, evidence({ seeks: [{ target: 1.0, number: 25 }] })), []);
});

test('late sound is noticed, with its sign', () => {
  const late = evidence({ beeps: [1100, 2100, 3100] });
  check({ barcode: '25', avsync: '1760' }, late, /sound is 100 ms/);
});

const AFTER_TRICK = [7, 8, 9].map((number) => ({ phase: 'after trick', mediaTime: number / 25, number, shownAt: 9000 + number * 40, width: 640, height: 360 }));

function afterTrick(trick) {
  const seen = evidence({ trick });
  seen.frames.push(...AFTER_TRICK);
  return seen;
}

test('trick play shows the I-frame of the time that was asked for', () => {
  const options = { barcode: '25', trick: '50' };
  const network = { ...NETWORK, iframes: 4 };
  const asked = [[1, 0], [3, 50], [7, 150]].map(([target, number]) => ({ target, number }));
  assert.deepEqual(failures(options, afterTrick(asked), network), []);
  check(options, afterTrick(asked), /0 I-frames were requested/, { ...NETWORK, iframes: 0 });
  check(options, afterTrick([...asked, { target: 9, number: 150 }]), /at 9.000 s shows frame 150, expected 200/, network);
  check(options, afterTrick([...asked, { target: 9, number: null }]), /shows frame null/, network);
});

test('trick play goes from I-frame to I-frame, and ends', () => {
  const options = { barcode: '25', trick: '50' };
  const network = { ...NETWORK, iframes: 4 };
  const pass = (numbers) => numbers.map((number) => ({ number, mediaTime: number / 25 }));
  assert.deepEqual(failures(options, afterTrick(pass([1, 3, 50, 100, 150, 200])), network), []);
  check(options, afterTrick(pass([1, 3, 6, 9, 12])), /from I-frame to I-frame 0 times/, network);
  check(options, afterTrick(pass([1, 51, 101, 151, 201])), /from I-frame to I-frame 0 times/, network);
  const stuck = evidence({ trick: pass([0, 50, 100, 150]) });
  check(options, stuck, /do not follow/, network);
});

test('tones, cues, stalls, renditions and protocols are held to what is expected', () => {
  check({ tones: 'eng=441' }, evidence({ tones: { eng: 662 } }), /heard 662 Hz, expected 441/);
  check({ tones: 'eng=441' }, evidence({ tones: { eng: null } }), /heard null/);
  check({ text: 'en' }, evidence(), /0 subtitle cues/);
  check({}, evidence({ stalls: [{ ms: 900 }] }), /1 stalls/);
  check({ 'renditions-min': '2' }, evidence(), /played 1 renditions/);
  check({ protocol: 'h2' }, evidence(), /expected h2 alone/);
  check({}, evidence(), /status 404/, { ...NETWORK, bad: [{ url: 'http://host/x', reason: 'status 404' }] });
});

test('a gap at a rendition switch is noticed', () => {
  const gap = { to: '256x144', from: 1, at: 3, arrived: true, ranges: [[0, 1.8], [2.4, 6]] };
  check({}, evidence({ switches: [gap] }), /gap in the buffer/);
  assert.deepEqual(failures({}, evidence({ switches: [{ ...gap, ranges: [[0, 6]] }] })), []);
});

test('an expected error must come', () => {
  check({ 'expect-error': '1001' }, evidence(), /no error matched/);
  assert.deepEqual(failures({ 'expect-error': '1001' }, evidence({ errors: [{ fatal: true, code: 'shaka 1001' }] })), []);
});

test('seeks repeat with their seed and differ without', () => {
  assert.deepEqual(fractions(5, 7), fractions(5, 7));
  assert.notDeepEqual(fractions(5, 7), fractions(5, 8));
  assert.ok(fractions(1000, 1).every((fraction) => fraction >= 0 && fraction < 1));
});

test('wrong options are refused by name', () => {
  assert.throws(() => normalise({ player: 'shaka' }), /--url/);
  assert.throws(() => normalise({ url: 'http://h/', player: 'vlc' }), /--player/);
  assert.throws(() => normalise({ url: 'http://h/', player: 'shaka', seek: 3 }), /unknown option seek/);
  assert.throws(() => normalise({ url: 'http://h/', player: 'shaka', seconds: 'x' }), /--seconds/);
});
