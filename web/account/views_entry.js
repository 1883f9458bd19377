// The way in: register, confirm, sign in, forgotten password.

import { element } from '../src/dom.js';
import { CODE, EMAIL, NEW_PASSWORD, PASSWORD, form } from './form.js';

const link = (href, text) => element('a', { href }, text);
const line = (...children) => element('p', {}, ...children);

export function signIn({ send, session, go, again }) {
  const finish = (answer, isToStay) => {
    session.begin(answer, isToStay);
    again();
  };
  const place = element('div');
  place.append(form({
    fields: [EMAIL, PASSWORD, { name: 'stay', label: 'Stay signed in', type: 'checkbox', hint: 'Only where nobody else uses this browser.' }],
    submit: 'Sign in',
    run: async ({ email, password, stay }) => {
      const device = { device_id: session.deviceId(), device_name: deviceName(navigator.userAgent) };
      const answer = await send('POST', '/v1/auth/login', { body: { email, password, ...device } });
      if (answer.status !== 'mfa_required') return finish(answer, stay);
      place.replaceChildren(...secondFactor({ send, token: answer.mfa_token, finish: (signedIn) => finish(signedIn, stay) }));
      place.querySelector('input').focus();
      return undefined;
    },
  }), line(link('/register', 'Create an account'), ' · ', link('/forgot-password', 'Forgot the password?'), ' · ', link('/verify', 'Confirm an address')));
  return { title: 'Sign in', children: [place] };
}

function secondFactor({ send, token, finish }) {
  return [
    line('The password is right. Now the second step.'),
    form({
      fields: [{ ...CODE, hint: 'Six digits of your authenticator app, or a recovery code.' }],
      submit: 'Continue',
      run: async ({ code }) => finish(await send('POST', '/v1/auth/mfa/verify', { body: { mfa_token: token, code } })),
    }),
  ];
}

/** "Firefox on Linux": what the list of sessions shows. */
export function deviceName(agent) {
  const find = (pairs) => pairs.find(([pattern]) => pattern.test(agent))?.[1];
  const browser = find([[/Edg\//, 'Edge'], [/Firefox\//, 'Firefox'], [/Chrom(e|ium)\//, 'Chrome'], [/Safari\//, 'Safari']]) ?? 'A browser';
  const system = find([[/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Windows/, 'Windows'], [/Mac OS/, 'macOS'], [/Linux|X11/, 'Linux']]);
  return system ? `${browser} on ${system}` : browser;
}

export function register({ send, go }) {
  return {
    title: 'Create an account',
    children: [
      form({
        fields: [EMAIL, { ...NEW_PASSWORD, label: 'Password' }],
        submit: 'Create account',
        run: async ({ email, password }) => {
          const locale = navigator.language || undefined;
          await send('POST', '/v1/auth/register', { body: { email, password, locale } });
          go('/verify', { email });
        },
      }),
      line('You have one? ', link('/', 'Sign in')),
    ],
  };
}

export function verify({ send, go, say, token, given }) {
  const done = () => {
    go('/');
    say('Your address is confirmed. Sign in now.');
  };
  if (token) {
    return {
      title: 'Confirm your address',
      children: [confirmation({ send, token, path: '/v1/auth/verify', submit: 'Confirm my address', done }), line(link('/verify', 'Use the code instead'))],
    };
  }
  const email = given?.email;
  const again = form({
    fields: [{ ...EMAIL, value: email }],
    submit: 'Send the mail again',
    run: async (body) => {
      await send('POST', '/v1/auth/verify/resend', { body });
      say('If the address waits to be confirmed, a mail is on its way.');
    },
  });
  return {
    title: 'Confirm your address',
    children: [
      line(email ? `A mail is on its way to ${email}. Open its link, or type its code.` : 'Open the link in the mail, or type its code.'),
      form({
        fields: [{ ...EMAIL, value: email }, { ...CODE, hint: 'Six digits.' }],
        submit: 'Confirm',
        run: async (body) => {
          await send('POST', '/v1/auth/verify', { body });
          done();
        },
      }),
      element('h2', {}, 'No mail?'),
      again,
    ],
  };
}

// By a press: programs that look at the links of mails do not press.
function confirmation({ send, token, path, submit, done }) {
  return form({
    fields: [],
    submit,
    run: async () => {
      await send('POST', path, { body: { token } });
      done();
    },
  });
}

export function confirmEmail({ send, go, say, token }) {
  if (!token) return withoutToken('Confirm your new address', 'Open the link in the mail to your new address once more.');
  const done = () => {
    go('/');
    say('Your account has the new address.');
  };
  return { title: 'Confirm your new address', children: [confirmation({ send, token, path: '/v1/auth/email/confirm', submit: 'Confirm the new address', done })] };
}

const withoutToken = (title, text) => ({ title, children: [line(text), line(link('/', 'To the account'))] });

export function forgotPassword({ send, say }) {
  return {
    title: 'Forgot the password?',
    children: [
      line('We mail a link that sets a new one.'),
      form({
        fields: [EMAIL],
        submit: 'Send the link',
        run: async (body) => {
          await send('POST', '/v1/auth/password/forgot', { body });
          say('If the address has an account, a mail is on its way. Its link is good for 30 minutes.');
        },
      }),
      line(link('/', 'Back to signing in')),
    ],
  };
}

export function resetPassword({ send, session, go, say, token }) {
  if (!token) return withoutToken('Set a new password', 'The link in the mail has what this needs; open it once more.');
  return {
    title: 'Set a new password',
    children: [
      line('You will be signed out everywhere.'),
      form({
        fields: [NEW_PASSWORD],
        submit: 'Set the password',
        run: async ({ password }) => {
          await send('POST', '/v1/auth/password/reset', { body: { token, password } });
          if (session.isSignedIn) session.end();
          go('/');
          say('The new password is set. Sign in with it.');
        },
      }),
    ],
  };
}
