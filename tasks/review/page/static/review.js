// One sample, one key. The next samples are fetched while the reviewer looks at this one; a decision is on the server's disk
// before the next sample shows.

import { used, wireChooser } from './chooser.js';
import { $, $$, Refused, clock, figures, get, newAction, onKey, persist, post, saved, toast } from './common.js';
import { cardActions, forgetComment, wireCard } from './card.js';

const AHEAD = 4;
const OFFERED = 20; // of which the server chooses the next one, as it knows what others have open just now

const stage = $('#stage');
const query = stage.dataset.query;
const fragments = new Map(); // position -> promise of HTML
const decided = new Set();
let busy = new Set();
let order = [];
let here = null; // position of the sample that is shown
let seq = Number($('#main').dataset.seq);
let pending = false;

// --- time spent looking: stands still while the page is hidden ---

let spent = 0;
let since = performance.now();
const restart = () => { spent = 0; since = performance.now(); };
const seconds = () => (spent + (document.hidden ? 0 : performance.now() - since)) / 1000;
document.addEventListener('visibilitychange', () => {
  if (document.hidden) spent += performance.now() - since;
  else since = performance.now();
});

// --- showing samples ---

function fragment(position) {
  if (!fragments.has(position)) {
    const asked = fetch(`/item/${position}?ahead=true`).then((response) => {
      if (!response.ok) throw new Error('the sample did not come');
      return response.text();
    });
    asked.catch(() => fragments.delete(position));
    fragments.set(position, asked);
  }
  return fragments.get(position);
}

/** Fetch the next samples at once, and their pictures one sample after the other when all of this one are there. */
async function prefetch() {
  const from = here;
  const at = order.indexOf(here);
  const next = order.slice(at + 1).filter((position) => !decided.has(position)).slice(0, AHEAD).map(fragment);
  let shown = stage;
  for (const asked of next) {
    await Promise.all($$('img', shown).filter(isInView).map(load));
    const html = await asked.catch(() => '');
    if (here !== from) return;
    shown = new DOMParser().parseFromString(html, 'text/html');
  }
  $$('img', shown).filter(isInView).forEach(load);
}

const isInView = (picture) => !picture.closest('details') && !picture.hidden;

/** Load a picture; a lazy one too, so that nobody waits for it. */
function load(picture) {
  const loaded = new Image();
  loaded.src = picture.getAttribute('src');
  return loaded.decode().catch(() => {});
}

async function show(position, { fresh = false, told = false } = {}) {
  if (fresh) fragments.delete(position);
  let html;
  try {
    html = await fragment(position);
  } catch {
    toast('The server does not answer. Try again in a moment.');
    return;
  }
  const focused = stage.contains(document.activeElement);
  stage.innerHTML = html;
  $('#end').hidden = true;
  stage.hidden = false;
  if (focused) $('#main').focus({ preventScroll: true });
  arrived(position);
  if (!told) post(`/open/${position}`, {}).catch(() => {});
}

function arrived(position) {
  here = position;
  restart();
  wire();
  const at = order.indexOf(position);
  $('#where').textContent = at < 0 ? '' : `${at + 1} / ${order.length}`;
  $('#previous').disabled = at === 0;
  $('#next').disabled = at === order.length - 1;
  const address = new URLSearchParams(query);
  address.set('at', position);
  history.replaceState(null, '', `/review?${address}`);
  scrollTo({ top: 0 });
  prefetch();
}

function finish() {
  here = null;
  stage.hidden = true;
  stage.replaceChildren();
  $('#end').hidden = false;
  $('#where').textContent = '';
  history.replaceState(null, '', `/review${query ? `?${query}` : ''}`);
}

/** The samples that wait for somebody: after this one, then from the start; those that others have open come last. */
function upcoming() {
  const at = order.indexOf(here);
  const around = [...order.slice(at + 1), ...order.slice(0, at + 1)].filter((position) => !decided.has(position));
  return [...around.filter((position) => !busy.has(position)), ...around.filter((position) => busy.has(position))];
}

function step(by) {
  const at = order.indexOf(here) + by;
  if (order[at] === undefined) return;
  // What was decided on the way looks different now.
  show(order[at], { fresh: decided.has(order[at]) });
}

// --- deciding ---

const sample = () => $('.sample', stage);

async function decide(decision, label = null) {
  if (pending || here === null) return;
  const shown = sample();
  if (decision === 'suggestion' && !shown.dataset.suggested) return;
  pending = true;
  stage.setAttribute('aria-busy', 'true');
  saved('saving', 'Saving…');
  const position = here;
  try {
    const news = await persist('/api/decide', {
      position,
      check: shown.dataset.check,
      decision,
      new_label: label,
      comment: $('#comment').value,
      seconds: seconds(),
      seen: shown.dataset.seen === '1',
      action: newAction(),
      since: seq,
      upcoming: upcoming().slice(0, OFFERED),
    }, () => saved('waiting', 'Not saved yet: the server does not answer. Trying again…'));
    saved('saved', `Saved ${clock(news.time)}, row ${news.row}`);
    decided.add(position);
    const chosen = decision === 'suggestion' ? shown.dataset.suggested : label;
    if (chosen) used(chosen);
    fragments.delete(position);
    forgetComment(shown.dataset.check);
    learn(news);
    const next = news.next ?? upcoming()[0];
    if (next === undefined) finish();
    else await show(next, { told: next === news.next });
  } catch (error) {
    saved('failed', `Not saved: ${error instanceof Refused ? error.message : 'something went wrong'}`);
  } finally {
    pending = false;
    stage.setAttribute('aria-busy', 'false');
  }
}

async function undo() {
  if (pending) return;
  pending = true;
  saved('saving', 'Undoing…');
  try {
    const news = await persist('/api/undo', { action: newAction(), since: seq },
      () => saved('waiting', 'Not undone yet: the server does not answer. Trying again…'));
    if (!news.rows) {
      saved('idle', 'Nothing to undo');
    } else {
      saved('saved', `Took back ${news.rows === 1 ? 'one decision' : `${news.rows} decisions`}, row ${news.row}`);
      for (const position of news.positions) {
        decided.delete(position);
        if (!order.includes(position)) order.push(position);
      }
      if (news.positions.length) await show(news.positions[0], { fresh: true });
    }
    learn(news);
  } catch (error) {
    saved('failed', `Not undone: ${error.message}`);
  } finally {
    pending = false;
  }
}

/** Take in what the server says of the whole queue, other reviewers' decisions among it. */
function learn(news) {
  seq = news.seq;
  busy = new Set(news.busy);
  for (const [position, status] of Object.entries(news.changed)) {
    fragments.delete(Number(position));
    if (status === 'todo') decided.delete(Number(position));
    else decided.add(Number(position));
  }
  figures(news);
  const stop = $('#stop');
  if (news.outlook?.stop && !stop.dataset.dismissed) {
    const { next_samples: next, expected } = news.outlook;
    $('span', stop).textContent =
      `You may stop here: the next ${next} samples are expected to hold about ${expected.toFixed(1)} wrong labels.`;
    stop.hidden = false;
  }
}

// --- the parts of a sample that react ---

function wire() {
  wireCard(stage);
  wireChooser(stage, classes, (label) => decide('relabel', label));
  for (const button of $$('[data-decision]', stage)) {
    button.addEventListener('click', () => decide(button.dataset.decision, button.dataset.label ?? null));
  }
}

const classes = JSON.parse(stage.dataset.classes);

// --- keys ---

function play() {
  const sound = $('audio', stage);
  if (!sound) return false;
  if (sound.paused) sound.play().catch(() => toast('The sound cannot be played.'));
  else sound.pause();
  return true;
}

function press(selector) {
  const button = $(selector, stage);
  if (!button) return false;
  button.click();
  return true;
}

onKey((key, event) => {
  switch (key) {
    case 'k': return press('[data-decision="keep"]');
    case 's': return press('[data-decision="suggestion"]');
    case 'd': return press('[data-decision="drop"]');
    case 'u': return press('[data-decision="unsure"]');
    case 'z': undo(); return true;
    case 'ArrowLeft': step(-1); return true;
    case 'ArrowRight': step(1); return true;
    case 'c': $('#comment')?.focus(); return true;
    case '/': $('#class-search')?.focus(); return true;
    case 'e': return cardActions.overlay(stage);
    case 'w': return cardActions.why(stage);
    case 'v': return cardActions.view(stage);
    case 't': return cardActions.find(stage);
    case 'p': return play();
    case 'f': $('[data-similar]', stage)?.click(); return true;
    default: return event.key.length === 1 && press(`.classes [aria-keyshortcuts="${CSS.escape(event.key)}"]`);
  }
});

$('#previous').addEventListener('click', () => step(-1));
$('#next').addEventListener('click', () => step(1));
$('#undo').addEventListener('click', undo);
$('#stop button').addEventListener('click', () => { $('#stop').hidden = true; $('#stop').dataset.dismissed = '1'; });

// --- start ---

async function start() {
  const news = await get(`/api/order?${query}`);
  order = news.order;
  const first = sample();
  if (first) {
    const position = Number(first.dataset.position);
    if (!order.includes(position)) order.unshift(position);
    arrived(position);
  }
  learn(news);
  document.body.dataset.ready = '1';
}

start().catch((error) => toast(`The queue did not come: ${error.message}. Reload the page.`));
