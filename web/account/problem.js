// What the API refused, in sentences, and at which input.

/** A refusal: problem+json (RFC 9457), or what is known without it. */
export class Problem extends Error {
  constructor({ status = 0, code = '', detail = '', title = '', errors = [], retryAfterSeconds = null } = {}) {
    super(sentence({ status, detail, title, retryAfterSeconds }));
    this.status = status;
    this.code = code;
    this.errors = Array.isArray(errors) ? errors : [];
  }
}

export function sentence({ status, detail, title, retryAfterSeconds }) {
  const said = detail || title || general(status);
  return retryAfterSeconds ? `${said} ${later(retryAfterSeconds)}` : said;
}

function general(status) {
  if (!status) return 'The server could not be reached. Check the connection and try again.';
  if (status >= 500) return 'The server failed. Try again in a moment.';
  return `The server refused this (${status}).`;
}

export function later(seconds) {
  if (seconds < 90) return `Try again in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}.`;
  return `Try again in ${Math.ceil(seconds / 60)} minutes.`;
}

/** Reads an answer that is no success. `text` is its content. */
export function problemOf(status, contentType, retryAfter, text) {
  let body = {};
  if (/\bjson\b/.test(contentType || '')) {
    try {
      body = JSON.parse(text) || {};
    } catch {
      body = {};
    }
  }
  const seconds = /^\d+$/.test(retryAfter || '') ? Number(retryAfter) : null;
  return new Problem({ ...body, status, retryAfterSeconds: seconds });
}

/**
 * Sorts field errors to inputs: {fields: {name: sentence}, rest: [sentence]}. A pointer such as
 * `/email` names the input `email`; what names no input of `names` is for the form as a whole.
 */
export function byField(errors, names) {
  const fields = {};
  const rest = [];
  for (const { pointer = '', detail = '' } of errors) {
    const name = pointer.replace(/^\//, '').replaceAll('~1', '/').replaceAll('~0', '~');
    if (names.includes(name)) fields[name] = fields[name] ? `${fields[name]} ${detail}` : detail;
    else rest.push(detail);
  }
  return { fields, rest };
}
