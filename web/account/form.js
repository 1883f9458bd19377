// A form: labelled inputs, hints, errors at the inputs they are about.

import { element } from '../src/dom.js';
import { byField } from './problem.js';

let forms = 0;

/**
 * form({fields, submit, run}): `fields` are {name, label, type, autocomplete, hint, value, required, …};
 * `run(values)` is called with what was typed. Blanks around text are cut, but in passwords.
 */
export function form({ fields, submit, run, extra = [] }) {
  forms += 1;
  const alert = element('p', { class: 'alert', role: 'alert' });
  const inputs = fields.map((field) => input(`f${forms}-${field.name}`, field));
  const button = element('button', { class: 'primary', type: 'submit' }, submit);
  const node = element('form', { novalidate: true }, alert, ...inputs.map(({ row }) => row), element('div', { class: 'actions' }, button, ...extra));
  const show = (errors, general) => {
    for (const { field, control, wrong } of inputs) {
      const text = errors[field.name] || '';
      wrong.textContent = text;
      control.setAttribute('aria-invalid', String(Boolean(text)));
    }
    alert.textContent = general;
    inputs.find(({ field }) => errors[field.name])?.control.focus();
  };
  node.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    const empty = inputs.filter(({ field, control }) => field.required && !control.value.trim());
    show(Object.fromEntries(empty.map(({ field }) => [field.name, 'This is needed.'])), '');
    if (empty.length > 0) return;
    button.disabled = true;
    try {
      await run(Object.fromEntries(inputs.map(({ field, control }) => [field.name, valueOf(field, control)])));
    } catch (problem) {
      const { fields: at, rest } = byField(problem.errors || [], fields.map(({ name }) => name));
      const hasPlace = Object.keys(at).length > 0;
      show(at, hasPlace ? rest.join(' ') : [problem.message, ...rest].join(' '));
    } finally {
      button.disabled = false;
    }
  });
  return node;
}

function valueOf(field, control) {
  if (field.type === 'checkbox') return control.checked;
  return field.type === 'password' ? control.value : control.value.trim();
}

function input(id, field) {
  const { name, label, hint, type = 'text', value, checked, required, ...more } = field;
  const wrong = element('p', { class: 'wrong', id: `${id}-wrong` });
  const about = hint ? element('p', { class: 'hint', id: `${id}-hint` }, hint) : null;
  const described = [about && `${id}-hint`, `${id}-wrong`].filter(Boolean).join(' ');
  const control = element('input', { id, name, type, value, checked, 'aria-required': required ? 'true' : null, 'aria-describedby': described, 'aria-invalid': 'false', ...more });
  const title = element('label', { for: id }, label);
  const row = type === 'checkbox'
    ? element('div', { class: 'check' }, control, element('div', {}, title, about, wrong))
    : element('div', { class: 'field' }, title, control, about, wrong);
  return { field, control, wrong, row };
}

export const EMAIL = { name: 'email', label: 'E-mail address', type: 'email', autocomplete: 'username', inputmode: 'email', maxlength: 254, required: true };
export const NEW_PASSWORD = { name: 'password', label: 'New password', type: 'password', autocomplete: 'new-password', hint: '8 to 128 characters of any kind.', required: true };
export const PASSWORD = { name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password', required: true };
export const CODE = { name: 'code', label: 'Code', inputmode: 'numeric', autocomplete: 'one-time-code', maxlength: 32, required: true };
