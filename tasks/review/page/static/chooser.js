// Choosing among many classes: by parts of the name, or one that was used lately.

import { $, $$ } from './common.js';

const FIRST_KEY = 6; // 1 to 5 are the likeliest classes of the sample
const LAST_KEY = 9;
const FOUND = 8;

const place = `labelsweep-recent-${$('meta[name="dataset"]').content}`;
const recent = () => JSON.parse(sessionStorage.getItem(place) ?? '[]');

/** Remember that a class was chosen. */
export function used(label) {
  const others = recent().filter((each) => each !== label);
  sessionStorage.setItem(place, JSON.stringify([label, ...others].slice(0, 20)));
}

/** Classes that hold all words as parts of their names; one that begins so comes first, then one with a word that does. */
export function matches(classes, text) {
  const words = text.trim().toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const rank = (label) => {
    const name = label.toLowerCase();
    if (name === words.join(' ')) return 0;
    if (name.startsWith(words[0])) return 1;
    return new RegExp(`[\\s_/.-]${RegExp.escape?.(words[0]) ?? words[0].replace(/\W/g, '\\$&')}`).test(name) ? 2 : 3;
  };
  const found = classes.filter((label) => words.every((word) => label.toLowerCase().includes(word)));
  return found.sort((a, b) => rank(a) - rank(b) || a.length - b.length).slice(0, FOUND);
}

/** Make the choice of a sample react; `choose(label)` is called with what was chosen. */
export function wireChooser(stage, classes, choose) {
  const box = $('#class-search', stage);
  if (!box) return;
  offerRecent(stage, classes);
  const list = $('#class-list', stage);
  let chosen = 0;
  const found = () => matches(classes, box.value);
  const draw = () => {
    const labels = found();
    chosen = Math.min(chosen, Math.max(labels.length - 1, 0));
    list.replaceChildren(...labels.map((label, number) => {
      const option = Object.assign(document.createElement('li'), { textContent: label, id: `class-${number}`, dir: 'auto' });
      option.setAttribute('role', 'option');
      option.setAttribute('aria-selected', String(number === chosen));
      option.addEventListener('mousedown', (event) => { event.preventDefault(); choose(label); });
      return option;
    }));
    list.hidden = !labels.length;
    box.setAttribute('aria-expanded', String(labels.length > 0));
    if (labels.length) box.setAttribute('aria-activedescendant', `class-${chosen}`);
    else box.removeAttribute('aria-activedescendant');
  };
  box.addEventListener('input', () => { chosen = 0; draw(); });
  box.addEventListener('blur', () => { list.hidden = true; });
  box.addEventListener('keydown', (event) => {
    const labels = found();
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      chosen = (chosen + (event.key === 'ArrowDown' ? 1 : -1) + labels.length) % Math.max(labels.length, 1);
      draw();
      event.preventDefault();
    } else if (event.key === 'Enter' && labels.length) {
      event.preventDefault();
      box.blur();
      choose(labels[chosen]);
    }
  });
}

/** Show the classes that were used lately and have no button yet, with the keys behind those of the likeliest. */
function offerRecent(stage, classes) {
  const shown = new Set([...$$('.classes [data-label]', stage).map((button) => button.dataset.label), $('.sample', stage).dataset.given]);
  const labels = recent().filter((label) => classes.includes(label) && !shown.has(label)).slice(0, LAST_KEY - FIRST_KEY + 1);
  $('#recent', stage).hidden = !labels.length;
  $('#recent .classes', stage).replaceChildren(...labels.map((label, number) => {
    const button = Object.assign(document.createElement('button'), { type: 'button' });
    Object.assign(button.dataset, { decision: 'relabel', label });
    button.setAttribute('aria-keyshortcuts', String(FIRST_KEY + number));
    const key = Object.assign(document.createElement('kbd'), { textContent: FIRST_KEY + number });
    button.append(key, Object.assign(document.createElement('span'), { textContent: label, dir: 'auto' }));
    return button;
  }));
}
