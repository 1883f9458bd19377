import assert from 'node:assert/strict';
import test from 'node:test';
import { takeToken } from '../account/address.js';
import { byField, later, problemOf } from '../account/problem.js';
import { Session, renewAfterMs } from '../account/session.js';
import { deviceName } from '../account/views_entry.js';
import { pinChange } from '../account/views_profiles.js';
import { grouped } from '../account/views_security.js';

const store = () => {
  const map = new Map();
  return { getItem: (key) => map.get(key) ?? null, setItem: (key, value) => map.set(key, value), removeItem: (key) => map.delete(key) };
};

/** Locks of one browser. */
function locksOfBrowser() {
  let last = Promise.resolve();
  return { request: (_, work) => (last = last.then(work, work)) };
}

/** The server's rule: a refresh token is good once, and its reuse ends the session. */
function server() {
  let current = 'r0';
  let number = 0;
  const asked = [];
  const send = async (method, path, { body, accessToken } = {}) => {
    asked.push(path);
    await new Promise((resolve) => setTimeout(resolve, 2));
    if (path !== '/v1/auth/refresh') {
      if (accessToken !== `a${number}`) throw problemOf(401, '', null, '');
      return { accessToken };
    }
    if (body.refresh_token !== current) throw problemOf(401, 'application/problem+json', null, '{"code":"session_ended"}');
    number += 1;
    current = `r${number}`;
    return { access_token: `a${number}`, refresh_token: current, expires_in: 900 };
  };
  return { send, asked };
}

const first = { access_token: 'a0', refresh_token: 'r0', expires_in: 900 };

test('tabs refresh one after the other, each with the token of the one before', async () => {
  const { send, asked } = server();
  const shared = store();
  const locks = locksOfBrowser();
  const tabs = [0, 1, 2].map(() => new Session({ send, shared, own: store(), locks, onEnd: () => assert.fail('the session ended') }));
  tabs[0].begin(first, true);
  await Promise.all([...tabs.map((tab) => tab.renew()), tabs[0].renew()]);
  assert.equal(asked.length, 3);
  assert.equal(shared.getItem('streamverse.refresh'), 'r3');
});

test('tokens are renewed before they expire', async () => {
  const { send, asked } = server();
  let now = 0;
  const session = new Session({ send, shared: store(), own: store(), now: () => now });
  session.begin(first, false);
  await session.call('GET', '/v1/me');
  now = renewAfterMs(900);
  assert.ok(now < 900_000);
  await session.call('GET', '/v1/me');
  assert.deepEqual(asked, ['/v1/me', '/v1/auth/refresh', '/v1/me']);
  assert.equal(renewAfterMs(40), 20_000);
});

test('who does not stay signed in leaves nothing that tabs share', () => {
  const shared = store();
  const own = store();
  const session = new Session({ send: server().send, shared, own });
  session.begin(first, false);
  assert.equal(shared.getItem('streamverse.refresh'), null);
  assert.equal(own.getItem('streamverse.refresh'), 'r0');
  session.end();
  assert.equal(session.isSignedIn, false);
});

test('an ended session is forgotten, a server that fails is not taken for one', async () => {
  let status = 503;
  let ended = 0;
  const session = new Session({ send: async () => { throw problemOf(status, '', null, ''); }, shared: store(), own: store(), onEnd: () => { ended += 1; } });
  session.begin(first, true);
  await assert.rejects(session.renew(), { status: 503 });
  assert.equal(session.isSignedIn, true);
  status = 401;
  await assert.rejects(session.call('GET', '/v1/me'), { status: 401 });
  assert.deepEqual([session.isSignedIn, ended], [false, 1]);
});

test('signing out while a refresh is under way stays signed out', async () => {
  const { send } = server();
  const session = new Session({ send, shared: store(), own: store() });
  session.begin(first, true);
  const renewing = session.renew();
  session.end();
  await renewing;
  assert.equal(session.isSignedIn, false);
});

test('another tab that signs out signs this one out, but for a session of its own', () => {
  let ended = 0;
  const session = new Session({ send: server().send, shared: store(), own: store(), onEnd: () => { ended += 1; } });
  session.begin(first, false);
  session.noticeStorage({ key: 'streamverse.refresh', newValue: null });
  assert.equal(ended, 0);
  session.begin(first, true);
  session.noticeStorage({ key: 'streamverse.refresh', newValue: 'r1' });
  assert.equal(ended, 0);
  session.noticeStorage({ key: 'streamverse.refresh', newValue: null });
  assert.equal(ended, 1);
});

test('a problem is a sentence, and says when to come again', () => {
  const body = JSON.stringify({ title: 'Too many', detail: 'Too many attempts.', code: 'too_many', status: 429 });
  const problem = problemOf(429, 'application/problem+json', '30', body);
  assert.equal(problem.message, 'Too many attempts. Try again in 30 seconds.');
  assert.deepEqual([problem.status, problem.code], [429, 'too_many']);
  assert.match(problemOf(502, 'text/html', null, '<h1>').message, /server failed/);
  assert.match(problemOf(404, 'application/json', null, 'null').message, /refused this \(404\)/);
  assert.equal(later(1), 'Try again in 1 second.');
  assert.equal(later(601), 'Try again in 11 minutes.');
});

test('field errors go to their inputs, the rest to the form', () => {
  const errors = [{ pointer: '/email', detail: 'No.' }, { pointer: '/email', detail: 'Never.' }, { pointer: '/locale', detail: 'Odd.' }, { pointer: '/a~1b', detail: 'Slash.' }];
  assert.deepEqual(byField(errors, ['email', 'a/b']), { fields: { email: 'No. Never.', 'a/b': 'Slash.' }, rest: ['Odd.'] });
});

test('a token leaves the address once it is read', () => {
  const replaced = [];
  const history = { replaceState: (...args) => replaced.push(args[2]) };
  assert.equal(takeToken({ hash: '#token=ab-c_', pathname: '/verify' }, history), 'ab-c_');
  assert.deepEqual(replaced, ['/verify']);
  assert.equal(takeToken({ hash: '', pathname: '/verify' }, history), null);
  assert.equal(replaced.length, 1);
});

test('small matters', () => {
  assert.equal(deviceName('Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36'), 'Chrome on Linux');
  assert.equal(deviceName('curl/8'), 'A browser');
  assert.equal(grouped('ABCDEFGHIJ'), 'ABCD EFGH IJ');
  assert.deepEqual([pinChange('', false), pinChange('1234', false), pinChange('1234', true)], [{}, { pin: '1234' }, { pin: null }]);
});
