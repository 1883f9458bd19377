// Shortcuts of the whole page. Text fields, choices and dialogs keep their own keys.

const FRAME_SECONDS = 1 / 25; // where the frame rate is unknown

/** `actions` is what main.js offers; see the table in index.html. */
export function listenToKeys(actions) {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented && !event.target.closest('#seek')) return;
    if (event.target.closest('select, dialog[open], [type="radio"], .events')) return;
    // Space and Enter press the button that has the focus.
    if (event.target.closest('button, a, summary') && (event.key === ' ' || event.key === 'Enter')) return;
    if (event.target.id === 'volume' && event.key.startsWith('Arrow')) return;
    const action = find(event.key, actions);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function find(key, actions) {
  if (/^[0-9]$/.test(key)) return () => actions.jump(Number(key) / 10);
  return {
    ' ': actions.toggle, k: actions.toggle,
    ArrowLeft: () => actions.step(-5), ArrowRight: () => actions.step(5),
    j: () => actions.step(-10), l: () => actions.step(10),
    ',': () => actions.frame(-1, FRAME_SECONDS), '.': () => actions.frame(1, FRAME_SECONDS),
    ArrowUp: () => actions.volume(0.1), ArrowDown: () => actions.volume(-0.1),
    Home: () => actions.jump(0), End: () => actions.jump(0.99),
    m: actions.mute, f: actions.full, c: actions.nextText, a: actions.nextAudio,
    '[': () => actions.rendition(-1), ']': () => actions.rendition(1), '\\': () => actions.rendition(null),
    '?': actions.help,
  }[key.length === 1 ? key.toLowerCase() : key];
}
