// Requests to the API. Tokens are session.js's matter.

import { Problem, problemOf } from './problem.js';

/** Content of the answer, null where it has none. Throws a Problem. */
export async function send(method, path, { body, accessToken } = {}) {
  const headers = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (accessToken) headers.authorization = `Bearer ${accessToken}`;
  let answer;
  let text;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: 'omit', cache: 'no-store' });
    text = await answer.text();
  } catch {
    throw new Problem();
  }
  if (!answer.ok) throw problemOf(answer.status, answer.headers.get('content-type'), answer.headers.get('retry-after'), text);
  return text ? JSON.parse(text) : null;
}
