// What every page of the review shares: asking the server, saying what happened, and keys that rest while somebody types.

const csrf = document.querySelector('meta[name="csrf"]').content;

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

export class Refused extends Error {}

/** Send JSON and return JSON; throws Refused when the server says no, and a plain error when it does not answer. */
export async function post(path, body) {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-csrf-token': csrf },
    body: JSON.stringify(body),
  });
  return read(response);
}

export async function get(path) {
  return read(await fetch(path));
}

async function read(response) {
  const answer = response.status === 204 ? {} : await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status >= 500) throw new Error(answer.error || 'the server failed');
  throw new Refused(answer.error || `refused (${response.status})`);
}

/** An identifier for one action: sending it again after a lost answer changes nothing. */
export function newAction() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Keep sending until the server answers: the action is the same one, so nothing is written twice. */
export async function persist(path, body, waiting) {
  for (let pause = 500; ; pause = Math.min(pause * 2, 5000)) {
    try {
      return await post(path, body);
    } catch (error) {
      if (error instanceof Refused) throw error;
      waiting();
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

export function saved(state, text) {
  const place = $('#saved');
  place.dataset.state = state;
  place.replaceChildren(Object.assign(document.createElement('span'), { textContent: text }));
}

export function clock(time) {
  return new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

let toasting;
export function toast(text) {
  const place = $('#toast');
  place.textContent = text;
  place.classList.add('shown');
  clearTimeout(toasting);
  toasting = setTimeout(() => place.classList.remove('shown'), 4000);
}

const group = (number) => Math.round(number).toString().replace(/\B(?=(\d{3})+$)/g, '\u202f');
const percent = (share) => `${Math.round(100 * share)} %`;

/** Bring the figures of the page up to date. */
export function figures(news) {
  $('#progress').max = news.total || 1;
  $('#progress').value = news.total - news.todo;
  const count = Object.assign(document.createElement('b'), { textContent: group(news.total - news.todo) });
  $('#progress-text').replaceChildren(count, ` of ${group(news.total)} decided`);
  const disagreements = $('#disagreements');
  disagreements.hidden = !news.disagreements;
  $('.count', disagreements).textContent = news.disagreements;
  const line = $('#figures');
  if (!line) return;
  const parts = [];
  if (news.running) {
    const { value, decided, low, high } = news.running;
    parts.push(['Precision', `${percent(value)} of the last ${decided} were wrong labels (${percent(low)}–${percent(high)})`]);
  }
  if (news.left) {
    const { errors, low, high } = news.left;
    parts.push(['Left', `about ${group(errors)} errors in the queue (${group(low)}–${group(high)})`]);
  }
  line.replaceChildren(
    ...parts.map(([name, text]) => {
      const span = document.createElement('span');
      span.append(Object.assign(document.createElement('b'), { textContent: name }), ` ${text}`);
      return span;
    }),
  );
}

const own = JSON.parse($('meta[name="keys"]').content); // the user's key: the key that the page knows it by
const moved = new Set(Object.values(own));
const meaning = (key) => own[key] ?? (moved.has(key) ? '' : key);
const acts = [];

/** What the user has to press for a key that the page knows. */
export function keyFor(known) {
  return Object.keys(own).find((key) => own[key] === known) ?? known;
}

/** Call `act(key, event)` for keys that are meant for the page and not for a text box, a menu or the browser. */
export function onKey(act) {
  acts.push(act);
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const box = event.target.closest('input, textarea, select, [contenteditable]');
  if (box) {
    if (event.key === 'Escape') box.blur();
    return;
  }
  const key = meaning(event.key);
  if (key === '?') {
    event.preventDefault();
    const help = $('#help');
    if (help.open) help.close();
    else help.showModal();
    return;
  }
  if ($('dialog[open]')) return;
  for (const act of acts) if (act(key, event)) event.preventDefault();
});

// A box that somebody closed stays closed on the next page.
for (const box of $$('details[data-remember]')) {
  const kept = localStorage.getItem(`labelsweep-${box.dataset.remember}`);
  if (kept !== null) box.open = kept === '1';
  box.addEventListener('toggle', () => localStorage.setItem(`labelsweep-${box.dataset.remember}`, box.open ? '1' : '0'));
}

// A picture of few pixels is enlarged pixel by pixel; a blurred one shows what is not there.
function sharpen(image) {
  if (image.matches?.('img.picture')) image.classList.toggle('pixels', image.naturalWidth <= 160);
}
document.addEventListener('load', (event) => sharpen(event.target), true);
for (const image of $$('img')) if (image.complete) sharpen(image);

// A picture that the server has not read yet is asked for again.
const TRIES = 5;
function retry(picture) {
  const tries = Number(picture.dataset?.tries ?? 0);
  if (!picture.matches?.('img.picture') || tries === TRIES) return;
  picture.dataset.tries = tries + 1;
  setTimeout(() => { picture.src = picture.getAttribute('src'); }, 1000);
}
document.addEventListener('error', (event) => retry(event.target), true);
for (const picture of $$('img.picture')) if (picture.complete && !picture.naturalWidth) retry(picture);

$('#help-button').addEventListener('click', () => $('#help').showModal());
