// Which view an address shows, and what all views share.

import { byId, element } from '../src/dom.js';
import { send } from './api.js';
import { takeToken } from './address.js';
import { Session } from './session.js';
import { confirmEmail, forgotPassword, register, resetPassword, signIn, verify } from './views_entry.js';
import { profiles } from './views_profiles.js';
import { security } from './views_security.js';

const OPEN = { '/register': register, '/verify': verify, '/forgot-password': forgotPassword, '/reset-password': resetPassword, '/confirm-email': confirmEmail };
const SIGNED_IN = { '/': profiles, '/profiles': profiles, '/security': security };

const session = new Session({ send, shared: localStorage, own: sessionStorage, locks: navigator.locks, onEnd: () => go('/') });
let shown = 0; // counts views, so that one that comes late is not shown

const say = (text) => {
  byId('status').textContent = text;
};

/** `given`: what the view before hands over. */
function go(path, given) {
  history.pushState(null, '', path);
  show(given);
}

async function show(given) {
  shown += 1;
  const mine = shown;
  const { pathname } = location;
  const token = takeToken(location, history);
  const open = OPEN[pathname];
  const view = open ?? (session.isSignedIn ? SIGNED_IN[pathname] ?? profiles : signIn);
  say('');
  let content;
  try {
    content = await view({ send, session, go, say, token, given, again: show });
  } catch (problem) {
    // An ended session shows its own view.
    if (mine !== shown) return;
    const again = element('button', { type: 'button', class: 'plain' }, 'Try again');
    again.addEventListener('click', () => show(given));
    content = { title: 'This did not work', children: [element('p', { class: 'alert', role: 'alert' }, problem.message), again] };
  }
  if (mine !== shown) return;
  paint(content, pathname);
}

function paint({ title, children }, path) {
  const heading = element('h1', { tabindex: '-1' }, title);
  byId('view').replaceChildren(heading, ...children);
  document.title = `${title} – StreamVerse`;
  byId('nav').hidden = !session.isSignedIn;
  for (const entry of byId('nav').querySelectorAll('a')) {
    const href = entry.getAttribute('href');
    if (href === path || (path === '/' && href === '/profiles')) entry.setAttribute('aria-current', 'page');
    else entry.removeAttribute('aria-current');
  }
  heading.focus();
}

document.addEventListener('click', (event) => {
  const anchor = event.target.closest('a[href^="/"]');
  if (!anchor || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(anchor.getAttribute('href'));
});
byId('sign-out').addEventListener('click', async () => {
  try {
    await session.call('POST', '/v1/auth/logout');
  } catch (problem) {
    // It ended by itself: that is what was wanted. Otherwise it lives on, and the person is told.
    if (![401, 403, 404].includes(problem.status)) {
      say(problem.message);
      return;
    }
  }
  if (session.isSignedIn) session.end();
});
window.addEventListener('popstate', () => show());
window.addEventListener('hashchange', () => location.hash.startsWith('#token=') && show());
window.addEventListener('storage', (event) => event.storageArea === localStorage && session.noticeStorage(event));
show();
