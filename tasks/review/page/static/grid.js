// Many samples, one key. How many is said before it is applied; more than what is on the page asks once more.

import { matches } from './chooser.js';
import { $, $$, Refused, clock, figures, get, keyFor, newAction, onKey, persist, saved } from './common.js';

const tiles = $('#tiles');
const all = tiles ? $$('li', tiles) : [];
const found = Number(tiles?.dataset.found ?? 0);
const query = tiles?.dataset.query ?? '';
let everything = false;
let anchor = 0;
let pending = false;
let seq = Number($('#main').dataset.seq);
const opened = performance.now();

const chosen = () => all.filter((tile) => tile.getAttribute('aria-selected') === 'true');
const count = () => (everything ? found : chosen().length);
const plural = (number) => `${number} sample${number === 1 ? '' : 's'}`;

function mark(tile, on) {
  tile.setAttribute('aria-selected', String(on));
}

function changed() {
  const number = count();
  $('#selected').textContent = number
    ? `${plural(number)} selected${everything && found > all.length ? ', on all pages' : ''}`
    : 'Nothing selected';
  for (const button of $$('#bulk [data-decision]')) {
    button.disabled = !number;
    $('.n', button).textContent = number;
    $('.n', button).hidden = !number;
  }
  $('#bulk-class').disabled = !number;
}

/** Whether there is something to decide on; says how to select where there is nothing. */
function isSelected() {
  if (!count()) saved('idle', `Select samples first: Space selects one, ${keyFor('a')} the page.`);
  return count() > 0;
}

function toggle(tile, stretch) {
  everything = false;
  const at = all.indexOf(tile);
  if (stretch) {
    const [from, to] = [Math.min(anchor, at), Math.max(anchor, at)];
    all.slice(from, to + 1).forEach((each) => mark(each, true));
  } else {
    mark(tile, tile.getAttribute('aria-selected') !== 'true');
    anchor = at;
  }
  changed();
}

function selectPage() {
  const whole = all.length && chosen().length === all.length;
  all.forEach((tile) => mark(tile, true));
  everything = Boolean(whole);
  changed();
}

function selectAll() {
  all.forEach((tile) => mark(tile, true));
  everything = true;
  changed();
}

function clear() {
  all.forEach((tile) => mark(tile, false));
  everything = false;
  changed();
}

function move(by) {
  const at = Math.max(all.indexOf(document.activeElement), 0);
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  all.forEach((tile) => { tile.tabIndex = tile === next ? 0 : -1; });
  next?.focus();
}

function columns() {
  const top = all[0]?.offsetTop;
  return Math.max(all.filter((tile) => tile.offsetTop === top).length, 1);
}

const words = { suggestion: 'Take the suggestion for', keep: 'Keep', drop: 'Drop', unsure: 'Answer “unsure” for' };

async function confirmed(decision, label, number) {
  if (!everything || found <= all.length) return true;
  const dialog = $('#confirm');
  const what = decision === 'relabel' ? `Relabel as ${label}:` : words[decision];
  $('#confirm-text').textContent = `${what} ${plural(number)}, on all pages of this filter?`;
  dialog.returnValue = 'no';
  dialog.showModal();
  await new Promise((resolve) => {
    dialog.addEventListener('close', function closed() {
      if (dialog.open) return; // the event of an earlier round, come late
      dialog.removeEventListener('close', closed);
      resolve();
    });
  });
  return dialog.returnValue === 'yes';
}

async function apply(decision, label = null) {
  const number = count();
  if (pending || !isSelected() || !(await confirmed(decision, label, number))) return;
  pending = true;
  saved('saving', `Saving ${number}…`);
  const body = {
    decision,
    new_label: label,
    expected: number,
    seconds: (performance.now() - opened) / 1000,
    seen: chosen().some((tile) => tile.dataset.status !== 'todo'),
    action: newAction(),
    since: seq,
  };
  if (everything) body.filter = Object.fromEntries(new URLSearchParams(query));
  else body.positions = chosen().map((tile) => Number(tile.dataset.position));
  try {
    const news = await persist('/api/decide-many', body, () => saved('waiting', 'Not saved yet: the server does not answer…'));
    leave(`Saved ${plural(news.rows)} at ${clock(news.time)}. ${keyFor('z')} takes it back.`);
  } catch (error) {
    saved('failed', `Not saved: ${error instanceof Refused ? error.message : 'something went wrong'}`);
    pending = false;
  }
}

async function undo() {
  if (pending) return;
  pending = true;
  try {
    const news = await persist('/api/undo', { action: newAction(), since: seq }, () => saved('waiting', 'Not undone yet…'));
    if (news.rows) leave(`Took back ${news.rows === 1 ? 'one decision' : `${news.rows} decisions`}.`);
    else saved('idle', 'Nothing to undo');
  } catch (error) {
    saved('failed', `Not undone: ${error.message}`);
  }
  pending = false;
}

function leave(message) {
  sessionStorage.setItem('labelsweep-message', message);
  location.reload();
}

all.forEach((tile) => {
  tile.addEventListener('click', (event) => {
    if (event.target.closest('[data-open]')) { open(tile); return; }
    tile.focus();
    toggle(tile, event.shiftKey);
  });
  tile.addEventListener('dblclick', () => open(tile));
});
for (const button of $$('#bulk [data-decision]')) {
  button.addEventListener('click', () => apply(button.dataset.decision));
}
const classes = [...$('#classes').options].map((option) => option.value);
const box = $('#bulk-class');
function relabel() {
  const label = classes.includes(box.value) ? box.value : matches(classes, box.value)[0];
  if (!label) { saved('failed', `No class “${box.value}”`); return; }
  box.value = '';
  box.blur();
  apply('relabel', label);
}
box.addEventListener('keydown', (event) => { if (event.key === 'Enter') relabel(); });
// A click on an offered name is one event that holds all of it.
box.addEventListener('input', (event) => { if (event.inputType === 'insertReplacementText' || !event.inputType) relabel(); });

/** Leave for one sample; the queue there is what this page shows. */
function open(tile) {
  if (!tile) return false;
  const address = new URLSearchParams(query);
  address.set('at', tile.dataset.position);
  location.assign(`/review?${address}`);
  return true;
}

function similar(tile) {
  if (!tile) return false;
  location.assign(`/grid?like=${tile.dataset.position}&state=all`);
  return true;
}
$('#select-page').addEventListener('click', selectPage);
$('#select-all')?.addEventListener('click', selectAll);
$('#undo').addEventListener('click', undo);

onKey((key, event) => {
  const tile = document.activeElement.closest?.('#tiles li');
  switch (key) {
    case 's': apply('suggestion'); return true;
    case 'k': apply('keep'); return true;
    case 'd': apply('drop'); return true;
    case 'u': apply('unsure'); return true;
    case 'z': undo(); return true;
    case 'a': selectPage(); return true;
    case 'Escape': clear(); return true;
    case ' ': if (tile) toggle(tile, event.shiftKey); return Boolean(tile);
    case '/': if (isSelected()) box.focus(); return true;
    case 'o': case 'Enter': return open(tile);
    case 'f': return similar(tile);
    case 'ArrowRight': move(1); return true;
    case 'ArrowLeft': move(-1); return true;
    case 'ArrowDown': move(columns()); return true;
    case 'ArrowUp': move(-columns()); return true;
    default: return false;
  }
});

const message = sessionStorage.getItem('labelsweep-message');
if (message) {
  sessionStorage.removeItem('labelsweep-message');
  saved('saved', message);
}
get(`/api/progress?since=${seq}`).then((news) => { seq = news.seq; figures(news); }, () => {});
changed();
document.body.dataset.ready = '1';
