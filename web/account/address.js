// What mailed links carry behind `#`.

/** The token of the address, which then shows it no more: it would stay in the history. */
export function takeToken(location, history) {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token) history.replaceState(null, '', location.pathname);
  return token;
}
