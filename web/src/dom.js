// Small helpers over the document. Text goes in as text, never as markup.

export const byId = (id) => document.getElementById(id);

/** element('a', {href: '/x', class: 'link'}, 'text', child...) */
export function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(key, '');
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#${name}`);
  svg.append(use);
  return svg;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function loadScript(source) {
  return new Promise((resolve, reject) => {
    const script = element('script', { src: source });
    script.addEventListener('load', () => resolve());
    script.addEventListener('error', () => reject(new Error(`The player script ${source} did not load.`)));
    document.head.append(script);
  });
}
