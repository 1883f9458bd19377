import assert from 'node:assert/strict';
import test from 'node:test';
import { bitrate, bytes, clock, fileName, languageName, protocolName, renditionName } from '../src/format.js';
import { fromHls, fromMediaError, fromShaka } from '../src/problem.js';
import { parseThumbnails, thumbnailAt } from '../src/thumbnails.js';

test('numbers read as people say them', () => {
  assert.equal(clock(0), '0:00');
  assert.equal(clock(68.64), '1:08');
  assert.equal(clock(3 * 3600 + 62), '3:01:02');
  assert.equal(clock(NaN), '–:––');
  assert.equal(bitrate(2227245), '2.2 Mb/s');
  assert.equal(bitrate(999600), '1.0 Mb/s');
  assert.equal(bitrate(305741), '306 kb/s');
  assert.equal(bitrate(undefined), '–');
  assert.equal(bytes(999), '999 B');
  assert.equal(bytes(1234567), '1.2 MB');
  assert.equal(renditionName({ height: 720, bitrate: 2227245 }), '720p · 2.2 Mb/s');
  assert.equal(protocolName('h3'), 'HTTP/3');
  assert.equal(protocolName(''), 'not disclosed');
});

test('languages have names, broken tags stay as they are', () => {
  assert.equal(languageName('de'), 'German');
  assert.equal(languageName('eng'), 'English');
  assert.equal(languageName('und'), 'Undetermined');
  assert.equal(languageName('no such tag'), 'no such tag');
});

test('long addresses keep their end', () => {
  assert.equal(fileName('http://h/vod/a/hd/7.m4s?x=1'), 'hd/7.m4s');
  assert.equal(fileName(`http://h/${'r'.repeat(40)}/7.m4s`), `…${'r'.repeat(17)}/7.m4s`);
});

const VTT = `WEBVTT\r\n\r\n00:00.000 --> 00:01.000\r\nsprite-1.jpg#xywh=0,0,160,90\r\n\r\nNOTE none\r\n\r\n7\r\n01:00:01.000 --> 01:00:02.500 line:0\r\nsprite-2.jpg#xywh=160,90,160,90\r\n`;

test('thumbnail cues are read with their tile and found by time', () => {
  const cues = parseThumbnails(VTT, 'http://h/vod/a/thumbnails.vtt');
  assert.equal(cues.length, 2);
  assert.deepEqual(cues[1], { start: 3601, end: 3602.5, url: 'http://h/vod/a/sprite-2.jpg', x: 160, y: 90, width: 160, height: 90 });
  assert.equal(thumbnailAt(cues, 0.5), cues[0]);
  assert.equal(thumbnailAt(cues, 3602.4), cues[1]);
  assert.equal(thumbnailAt(cues, 30), null);
  assert.equal(thumbnailAt([], 1), null);
  assert.deepEqual(parseThumbnails('<html>404</html>', 'http://h/'), []);
});

test('a problem names what failed and where', () => {
  const url = 'http://h/vod/a/cmaf/master.m3u8';
  const missing = fromHls({ details: 'manifestLoadError', fatal: true, response: { code: 404 }, url });
  assert.match(missing.headline, /nothing at this address \(404\)/);
  assert.equal(missing.url, url);
  assert.match(fromHls({ details: 'fragLoadError', fatal: true, response: { code: 0 }, frag: { url } }).headline, /could not be reached/);
  assert.match(fromHls({ details: 'manifestIncompatibleCodecsError', fatal: true }).headline, /cannot decode/);
  const refused = fromShaka({ code: 1001, severity: 2, data: [url, 403] });
  assert.match(refused.headline, /does not allow access \(403\)/);
  assert.equal(refused.url, url);
  assert.match(fromShaka({ code: 4032, severity: 2, data: [] }).headline, /cannot decode/);
  assert.equal(fromShaka({ code: 3016, severity: 1, data: [3, 0, 'x'] }).fatal, false);
  assert.match(fromMediaError({ code: 3, message: 'PIPELINE' }, url).code, /PIPELINE/);
});
