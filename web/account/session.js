// Who is signed in here.
//
// The access token is in memory alone. The refresh token is in sessionStorage, and goes with the tab;
// who asks to stay signed in has it in localStorage, which all tabs share. A refresh token is good
// once and its reuse ends the session, so one tab at a time refreshes (Web Locks), and reads the token
// only once it holds the lock: another tab may have gone on meanwhile.

import { Problem } from './problem.js';

const TOKEN = 'streamverse.refresh';
const DEVICE = 'streamverse.device';
const LOCK = 'streamverse.refresh';
const EARLY_SECONDS = 60;

/** Where a token of this life has to be renewed, in milliseconds from now. */
export const renewAfterMs = (lifeSeconds) => Math.max(lifeSeconds - EARLY_SECONDS, lifeSeconds / 2) * 1000;

export class Session {
  #access = null;
  #renewAtMs = 0;
  #renewing = null;

  /** `send` as in api.js; `onEnd` is called when the session is over. */
  constructor({ send, shared, own, locks, now = Date.now, onEnd = () => {} }) {
    Object.assign(this, { send, shared, own, locks, now, onEnd });
  }

  get isSignedIn() {
    return this.#token() !== null;
  }

  /** Takes what a sign-in answered. */
  begin(answer, isToStay) {
    this.#forget();
    (isToStay ? this.shared : this.own).setItem(TOKEN, answer.refresh_token);
    this.#take(answer);
  }

  /** A request as the person who is signed in. */
  async call(method, path, body) {
    const accessToken = await this.#current();
    try {
      return await this.send(method, path, { body, accessToken });
    } catch (problem) {
      // Withdrawn before its time, for instance because a password changed elsewhere.
      if (problem.status !== 401) throw problem;
      await this.renew();
      return this.send(method, path, { body, accessToken: this.#access });
    }
  }

  /** The next tokens; calls at the same moment are one. */
  renew() {
    this.#renewing ??= this.#alone(() => this.#renewOnce()).finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  end() {
    this.#forget();
    this.onEnd();
  }

  /** Made here and kept, so that signing in again replaces this browser's session. */
  deviceId() {
    let id = this.shared.getItem(DEVICE);
    if (!id) {
      id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
      this.shared.setItem(DEVICE, id);
    }
    return id;
  }

  /** Another tab changed what all share. */
  noticeStorage({ key, newValue }) {
    if (key === TOKEN && newValue === null && this.own.getItem(TOKEN) === null) this.end();
  }

  async #current() {
    if (!this.#access || this.now() >= this.#renewAtMs) await this.renew();
    return this.#access;
  }

  async #renewOnce() {
    const store = this.own.getItem(TOKEN) === null ? this.shared : this.own;
    const held = store.getItem(TOKEN);
    if (held === null) {
      this.end();
      throw new Problem({ status: 401, detail: 'Sign in again.' });
    }
    try {
      const answer = await this.send('POST', '/v1/auth/refresh', { body: { refresh_token: held } });
      // Signed out while the answer was under way: it stays signed out.
      if (store.getItem(TOKEN) !== held) return;
      store.setItem(TOKEN, answer.refresh_token);
      this.#take(answer);
    } catch (problem) {
      if (problem.status === 401 || problem.status === 403) this.end();
      throw problem;
    }
  }

  // Browsers have no locks for pages in the clear from other machines.
  #alone(work) {
    return this.locks ? this.locks.request(LOCK, work) : work();
  }

  #take({ access_token: access, expires_in: lifeSeconds }) {
    this.#access = access;
    this.#renewAtMs = this.now() + renewAfterMs(lifeSeconds);
  }

  #token() {
    return this.own.getItem(TOKEN) ?? this.shared.getItem(TOKEN);
  }

  #forget() {
    this.#access = null;
    this.own.removeItem(TOKEN);
    this.shared.removeItem(TOKEN);
  }
}
