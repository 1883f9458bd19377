// Profiles: who watches.

import { element } from '../src/dom.js';
import { form } from './form.js';

const PIN = { name: 'pin', label: 'PIN', type: 'password', inputmode: 'numeric', autocomplete: 'off', maxlength: 8 };
const NAME = { name: 'name', label: 'Name', maxlength: 40, required: true, autocomplete: 'off' };
const KIDS = { name: 'is_kids', label: 'For children', type: 'checkbox' };

const button = (text, label, run) => {
  const node = element('button', { type: 'button', class: 'plain', 'aria-label': label }, text);
  node.addEventListener('click', run);
  return node;
};

export async function profiles({ session, say }) {
  const place = element('section', {});
  await showList();
  return { title: 'Who is watching?', children: [place] };

  async function showList() {
    const [{ items }, me] = await Promise.all([session.call('GET', '/v1/profiles'), session.call('GET', '/v1/me')]);
    const list = element('ul', { class: 'list', 'aria-label': 'Profiles' }, ...items.map((profile) => row(profile, me.profile_id)));
    const children = items.length > 0 ? [list] : [element('p', {}, 'There is no profile yet. Add the first.')];
    if (items.length < me.profiles_max) children.push(element('h2', {}, 'Add a profile'), adding());
    else children.push(element('p', { class: 'hint' }, `Your plan has ${me.profiles_max} profiles.`));
    place.replaceChildren(...children);
  }

  function row(profile, chosenId) {
    const { id, name, is_kids: isKids, has_pin: hasPin } = profile;
    const tags = [id === chosenId && 'chosen', isKids && 'children', hasPin && 'PIN'].filter(Boolean);
    const node = element('li', { class: 'item' },
      element('p', {}, element('strong', {}, name), ...tags.map((tag) => element('span', { class: 'tag' }, tag))),
      element('div', { class: 'actions' },
        button('Choose', `Choose ${name}`, () => (hasPin ? ask(choosing(profile)) : attempt(() => choose(profile)))),
        button('Edit', `Edit ${name}`, () => ask(editing(profile))),
        button('Remove', `Remove ${name}`, () => ask(removing(profile)))));
    return node;
  }

  // One thing at a time, in the place of the list; the way back is a button.
  function ask({ title, child }) {
    const heading = element('h2', { tabindex: '-1' }, title);
    place.replaceChildren(heading, child, button('Back to the profiles', null, () => attempt(showList)));
    (child.querySelector('input') ?? heading).focus();
  }

  async function attempt(work) {
    try {
      await work();
    } catch (problem) {
      say(problem.message);
    }
  }

  async function choose({ id, name }, pin) {
    await session.call('POST', `/v1/profiles/${id}/select`, pin ? { pin } : {});
    // The next access token says which profile it is.
    await session.renew();
    await showList();
    say(`${name} is watching.`);
  }

  function choosing(profile) {
    return { title: `The PIN of ${profile.name}`, child: form({ fields: [{ ...PIN, required: true }], submit: 'Choose', run: ({ pin }) => choose(profile, pin) }) };
  }

  function adding() {
    return form({
      fields: [NAME, KIDS, { ...PIN, label: 'PIN (optional)', hint: '4 to 8 digits, asked for when the profile is chosen.' }],
      submit: 'Add',
      run: async ({ name, is_kids, pin }) => {
        await session.call('POST', '/v1/profiles', { name, is_kids, ...(pin ? { pin } : {}) });
        await showList();
        say(`${name} was added.`);
      },
    });
  }

  function editing(profile) {
    const current = { ...PIN, name: 'current_pin', label: 'PIN it has now', required: true };
    const fields = [
      { ...NAME, value: profile.name },
      { ...KIDS, checked: profile.is_kids },
      { ...PIN, label: 'New PIN (optional)', hint: profile.has_pin ? 'Empty: the PIN stays.' : '4 to 8 digits.' },
    ];
    if (profile.has_pin) fields.push({ name: 'without_pin', label: 'Take the PIN away', type: 'checkbox' }, current);
    return {
      title: `Edit ${profile.name}`,
      child: form({
        fields,
        submit: 'Save',
        run: async ({ name, is_kids, pin, without_pin, current_pin }) => {
          await session.call('PATCH', `/v1/profiles/${profile.id}`, { name, is_kids, ...pinChange(pin, without_pin), ...(current_pin ? { current_pin } : {}) });
          await showList();
          say(`${name} was changed.`);
        },
      }),
    };
  }

  function removing(profile) {
    return {
      title: `Remove ${profile.name}?`,
      child: element('div', {}, element('p', {}, 'Its history and lists go with it.'), form({
        fields: profile.has_pin ? [{ ...PIN, required: true }] : [],
        submit: 'Remove for good',
        run: async ({ pin }) => {
          await session.call('DELETE', `/v1/profiles/${profile.id}`, pin ? { pin } : {});
          await showList();
          say(`${profile.name} was removed.`);
        },
      })),
    };
  }
}

/** Members of the change: absent stays, null takes away. */
export function pinChange(pin, isWithout) {
  if (isWithout) return { pin: null };
  return pin ? { pin } : {};
}
