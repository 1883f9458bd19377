// What went wrong, in plain words.
//
// A problem is {fatal, headline, advice, url, code}: one sentence of what happened, one of what may
// help, the address that failed (or null), and the player's own code for whoever looks deeper.

const STATUS = {
  400: 'The server refused the request as malformed',
  401: 'The server asks for a sign-in or a token',
  403: 'The server does not allow access',
  404: 'The server has nothing at this address',
  410: 'The server has withdrawn this version',
  416: 'The server cannot serve the byte range asked for',
  429: 'The server asks to slow down',
  500: 'The server failed while producing the answer',
  502: 'The server could not reach the source of this file',
  503: 'The server cannot produce this just now',
  504: 'The server waited too long for the source of this file',
};

const adviceFor = (status) => (status >= 400 && status < 500 ? REPLACED : RELOAD);

function fromStatus(status, what) {
  if (!status) return `${what} could not be reached`;
  return `${STATUS[status] || 'The server answered with an error'} (${status})`;
}

const RELOAD = 'Check that the server is running, then try again.';
const REPLACED = 'The title may have been replaced or removed; reload the page to see what there is.';
const OTHER_PLAYER = 'Another player or format may take it.';
const CODEC = 'This browser cannot decode the codecs of this title';

/** hls.js ErrorData -> problem. */
export function fromHls(data) {
  const { details, fatal, response, error } = data;
  const base = { fatal, url: data.url || data.frag?.url || data.context?.url || null, code: `hls.js ${details}` };
  if (/IncompatibleCodecs|AddCodec/.test(details)) return { ...base, headline: CODEC, advice: OTHER_PLAYER };
  if (/LoadError|LoadTimeOut/.test(details)) {
    const what = /^manifest/.test(details) ? 'The playlist' : 'A file of this title';
    const headline = /TimeOut/.test(details) ? `${what} took too long to arrive` : fromStatus(response?.code, what);
    return { ...base, headline, advice: adviceFor(response?.code) };
  }
  if (/Parsing/.test(details)) return { ...base, headline: 'A file of this title could not be understood', advice: OTHER_PLAYER, code: `${base.code}: ${error?.message}` };
  if (details === 'bufferStalledError') return { ...base, headline: 'Playback waits for data', advice: '' };
  return { ...base, headline: 'hls.js could not go on', advice: OTHER_PLAYER, code: `${base.code}${error ? `: ${error.message}` : ''}` };
}

/** shaka.util.Error -> problem. Codes: shaka.util.Error.Code. */
export function fromShaka(error) {
  const [first, second] = error.data || [];
  const url = typeof first === 'string' && /^(https?:|\/)/.test(first) ? first : null;
  const base = { fatal: error.severity === 2, url, code: `shaka ${error.code}` };
  if (error.code === 1001) return { ...base, headline: fromStatus(second, 'A file of this title'), advice: adviceFor(second) };
  if (error.code === 1002) return { ...base, headline: fromStatus(0, 'A file of this title'), advice: RELOAD };
  if (error.code === 1003) return { ...base, headline: 'A file of this title took too long to arrive', advice: RELOAD };
  if (error.code === 4032 || error.code === 4011) return { ...base, headline: CODEC, advice: OTHER_PLAYER };
  if (error.code >= 4000 && error.code < 5000) return { ...base, headline: 'The manifest could not be understood', advice: OTHER_PLAYER };
  if (error.code >= 3000 && error.code < 4000) return { ...base, headline: 'The browser could not decode this title', advice: OTHER_PLAYER, code: `${base.code}${typeof second === 'string' ? `: ${second}` : ''}` };
  if (error.code >= 6000 && error.code < 7000) return { ...base, headline: 'The title is protected and no licence was obtained', advice: '' };
  return { ...base, headline: 'shaka-player could not go on', advice: OTHER_PLAYER, code: `${base.code}: ${error.message}` };
}

const MEDIA_ERRORS = {
  2: ['A file of this title could not be reached', RELOAD],
  3: ['The browser could not decode this title', OTHER_PLAYER],
  4: ['The browser’s own player does not take this title', OTHER_PLAYER],
};

/** MediaError of a video element -> problem. */
export function fromMediaError(error, url) {
  const [headline, advice] = MEDIA_ERRORS[error?.code] || ['Playback stopped', OTHER_PLAYER];
  return { fatal: true, headline, advice, url, code: `media error ${error?.code ?? '?'}${error?.message ? `: ${error.message}` : ''}` };
}
