// What reacts on the card of one sample: the overlay, folds that stay as they were left, texts that come whole, search, comments.

import { $, $$, toast } from './common.js';
import { openViewer } from './viewer.js';
import { loadWhole, wireSearch } from './search.js';

let overlay = false;
const kept = (name) => localStorage.getItem(`labelsweep-${name}`) === '1';
const keep = (name, on) => localStorage.setItem(`labelsweep-${name}`, on ? '1' : '0');

/** Wire a card that has just been put on the page. */
export function wireCard(stage) {
  const toggle = $('[data-toggle="overlay"]', stage);
  if (toggle) {
    toggle.addEventListener('click', () => showOverlay(stage, !overlay));
    showOverlay(stage, overlay);
  }
  for (const fold of $$('details[data-fold]', stage)) {
    fold.open = kept(fold.dataset.fold);
    fold.addEventListener('toggle', () => keep(fold.dataset.fold, fold.open));
  }
  for (const button of $$('[data-whole]', stage)) button.addEventListener('click', () => loadWhole(button));
  for (const button of $$('[data-columns]', stage)) wireColumns(button);
  $$('[data-view]', stage).forEach((button) => button.addEventListener('click', () => view(stage, button)));
  $('[data-large]', stage)?.addEventListener('click', () => view(stage, $('[data-view]', stage)));
  const search = $('[data-search]', stage);
  if (search) wireSearch(search, $('.exhibit .prose', stage));
  wireComment(stage);
}

/** Return what each key of the card does. */
export const cardActions = {
  overlay: (stage) => showOverlay(stage, !overlay),
  why: (stage) => {
    const fold = $('details[data-fold="why"]', stage);
    if (fold) fold.open = !fold.open;
    return Boolean(fold);
  },
  view: (stage) => Boolean($('[data-view]', stage)) && view(stage, $('[data-view]', stage)),
  find: (stage) => {
    $('[data-search]', stage)?.focus();
    return Boolean($('[data-search]', stage));
  },
};

function showOverlay(stage, on) {
  const picture = $('.overlay', stage);
  if (!picture) return false;
  overlay = on;
  picture.hidden = !on;
  $('.legend', stage).hidden = !on;
  $('[data-toggle="overlay"]', stage).setAttribute('aria-pressed', String(on));
  return true;
}

function view(stage, button) {
  const buttons = $$('[data-view]', stage);
  const pictures = buttons.map((each) => ({ source: each.dataset.view, name: each.dataset.name }));
  openViewer(pictures, buttons.indexOf(button));
  return true;
}

// --- all columns of a table, or the few that matter ---

function wireColumns(button) {
  button.addEventListener('click', () => {
    keep('columns', !kept('columns'));
    showColumns(button, kept('columns'));
  });
  if (kept('columns')) showColumns(button, true);
}

async function showColumns(button, all) {
  const body = $('tbody', button.closest('.compared'));
  if (all && !button.dataset.loaded) {
    const answer = await fetch(button.dataset.columns).catch(() => null);
    if (!answer?.ok) {
      toast('The other columns did not come. Try again in a moment.');
      return;
    }
    body.insertAdjacentHTML('beforeend', await answer.text());
    button.dataset.loaded = '1';
  }
  $$('tr.rest', body).forEach((row) => { row.hidden = !all; });
  button.textContent = all ? button.dataset.fewer : button.dataset.more;
}

// --- a comment stays with its sample until it is saved ---

const draft = (stage) => `labelsweep-comment-${$('.sample', stage).dataset.check}`;

function wireComment(stage) {
  const box = $('#comment', stage);
  const name = draft(stage);
  box.value = sessionStorage.getItem(name) ?? box.value;
  box.addEventListener('input', () => sessionStorage.setItem(name, box.value));
}

export function forgetComment(check) {
  sessionStorage.removeItem(`labelsweep-comment-${check}`);
}
