// Where somebody is signed in, the second factor, the password.

import { element } from '../src/dom.js';
import { CODE, NEW_PASSWORD, PASSWORD, form } from './form.js';

export async function security({ session, say }) {
  const me = await session.call('GET', '/v1/me');
  const sections = [
    element('p', {}, `You are signed in as ${me.email}.`),
    await sessions({ session, say }),
    await factor({ session, say }),
    password({ session, say }),
  ];
  return { title: 'Security', children: sections };
}

async function sessions({ session, say }) {
  const place = element('section', {});
  await show();
  return place;

  async function show() {
    const { items } = await session.call('GET', '/v1/auth/sessions');
    const everywhere = element('button', { type: 'button', class: 'plain' }, 'Sign out everywhere');
    everywhere.addEventListener('click', () => attempt(async () => {
      await session.call('POST', '/v1/auth/logout-all');
      session.end();
    }));
    place.replaceChildren(element('h2', {}, 'Where you are signed in'), element('ul', { class: 'list', 'aria-label': 'Sessions' }, ...items.map(row)), everywhere);
  }

  function row(item) {
    const name = item.device_name || item.user_agent || 'A device';
    const seen = new Date(item.last_seen_ms).toLocaleString();
    const about = element('div', {}, element('p', {}, element('strong', {}, name), item.is_current ? element('span', { class: 'tag' }, 'this one') : null), element('p', {}, `Last used ${seen}${item.network ? ` from ${item.network}` : ''}`));
    const end = element('button', { type: 'button', class: 'plain', 'aria-label': `Sign out ${name}` }, 'Sign out');
    end.addEventListener('click', () => attempt(async () => {
      await session.call('DELETE', `/v1/auth/sessions/${item.id}`);
      if (item.is_current) return session.end();
      await show();
      say(`${name} was signed out.`);
      return undefined;
    }));
    return element('li', { class: 'item' }, about, end);
  }

  async function attempt(work) {
    try {
      await work();
    } catch (problem) {
      say(problem.message);
    }
  }
}

async function factor({ session, say }) {
  const place = element('section', {});
  await show();
  return place;

  async function show() {
    const state = await session.call('GET', '/v1/auth/mfa');
    place.replaceChildren(element('h2', { tabindex: '-1' }, 'Second step at sign-in'), ...(state.is_totp_enrolled ? enrolled(state) : [start()]));
  }

  function start() {
    return form({
      fields: [{ ...PASSWORD, hint: 'Besides the password, signing in then takes a code of an authenticator app.' }],
      submit: 'Set up an app',
      run: async (body) => {
        const enrolment = await session.call('POST', '/v1/auth/mfa/totp', body);
        place.replaceChildren(...steps(enrolment));
        place.querySelector('h2').focus();
      },
    });
  }

  function steps({ secret, uri, qr_svg: picture }) {
    const copy = element('button', { type: 'button', class: 'plain' }, 'Copy the key');
    copy.addEventListener('click', () => navigator.clipboard?.writeText(secret).then(() => say('The key is copied.'), () => say('Select the key and copy it by hand.')));
    return [
      element('h2', { tabindex: '-1' }, 'Photograph this with your app'),
      // As an image, a picture runs no script, whatever it holds.
      element('img', { class: 'picture', alt: 'QR code of the key below', src: `data:image/svg+xml,${encodeURIComponent(picture)}` }),
      element('p', {}, 'Or type the key: ', element('code', { id: 'totp-secret' }, grouped(secret))),
      element('div', { class: 'actions' }, copy, element('a', { href: uri }, 'Open an app on this device')),
      form({
        fields: [{ ...CODE, hint: 'The six digits that the app shows now.' }],
        submit: 'Confirm',
        run: async ({ code }) => showCodes(await session.call('POST', '/v1/auth/mfa/totp/confirm', { code })),
      }),
    ];
  }

  function showCodes({ recovery_codes: codes }) {
    const done = element('button', { type: 'button', class: 'primary' }, 'I have kept them');
    done.addEventListener('click', () => show().catch((problem) => say(problem.message)));
    place.replaceChildren(
      element('h2', { tabindex: '-1' }, 'Your recovery codes'),
      element('p', {}, 'For the day the app is lost. Each is good once, and they are shown this once.'),
      element('ul', { class: 'codes', id: 'recovery-codes' }, ...codes.map((code) => element('li', {}, element('code', {}, code)))),
      done,
    );
    place.querySelector('h2').focus();
  }

  function enrolled({ recovery_codes_left: left }) {
    const proof = [PASSWORD, { ...CODE, hint: 'Of the app, or a recovery code.' }];
    return [
      element('p', {}, `An app is set up. ${left} recovery ${left === 1 ? 'code is' : 'codes are'} left.`),
      element('h3', {}, 'New recovery codes'),
      form({ fields: proof, submit: 'Make new codes', run: async (body) => showCodes(await session.call('POST', '/v1/auth/mfa/recovery-codes', body)) }),
      element('h3', {}, 'Without the app'),
      form({
        fields: proof,
        submit: 'Take the app off',
        run: async (body) => {
          await session.call('POST', '/v1/auth/mfa/totp/disable', body);
          await show();
          say('Signing in takes the password alone now.');
        },
      }),
    ];
  }
}

/** Base32 in fours, to be read and typed. */
export const grouped = (secret) => secret.match(/.{1,4}/g)?.join(' ') ?? '';

function password({ session, say }) {
  return element('section', {}, element('h2', {}, 'Password'), form({
    fields: [{ ...PASSWORD, name: 'old_password', label: 'Old password' }, NEW_PASSWORD],
    submit: 'Change the password',
    run: async (body) => {
      await session.call('PUT', '/v1/me/password', body);
      say('The password is changed; you were signed out everywhere else.');
    },
  }));
}
