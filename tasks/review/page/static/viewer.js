// Pictures, large: zoom and pan by wheel, keys and touch; a neighbour lies beside the sample and moves with it.
// A picture comes at the size of a screen; the original is asked for when somebody looks closer than that.

import { $, $$ } from './common.js';

const MOST = 40;

let dialog;
let pictures = [];
let beside = 0; // which picture lies beside the first one; 0 for none
let scale = 1;
let x = 0;
let y = 0;
const touching = new Map(); // pointer -> where it was last

/** Open the pictures `{source, name}`; the first is the sample, the one at `at` lies beside it. */
export function openViewer(all, at = 0) {
  dialog ??= make();
  pictures = all;
  beside = at;
  fit();
  draw();
  dialog.showModal();
}

function make() {
  const made = document.createElement('dialog');
  made.className = 'viewer';
  made.setAttribute('aria-label', 'Pictures, large');
  made.innerHTML = `
    <header>
      <button type="button" class="plain" data-do="out" aria-label="Smaller">−</button>
      <button type="button" class="plain" data-do="in" aria-label="Larger">+</button>
      <button type="button" class="plain" data-do="fit">Fit <kbd>0</kbd></button>
      <output class="quiet"></output>
      <button type="button" class="plain" data-do="before"><kbd>p</kbd> Previous neighbour</button>
      <button type="button" class="plain" data-do="after">Next neighbour <kbd>n</kbd></button>
      <button type="button" class="plain" data-do="close">Close <kbd>Esc</kbd></button>
    </header>
    <div class="panes">
      <figure><div class="pane"><img class="picture" alt="" draggable="false"></div><figcaption></figcaption></figure>
      <figure><div class="pane"><img class="picture" alt="" draggable="false"></div><figcaption></figcaption></figure>
    </div>`;
  document.body.append(made);
  for (const button of $$('[data-do]', made)) button.addEventListener('click', () => actions[button.dataset.do]());
  made.addEventListener('keydown', press);
  for (const pane of $$('.pane', made)) {
    pane.addEventListener('wheel', wheel, { passive: false });
    pane.addEventListener('dblclick', (event) => (scale > 1 ? fit() : zoom(4, ...inside(event))));
    pane.addEventListener('pointerdown', touch);
    pane.addEventListener('pointermove', drag);
    for (const end of ['pointerup', 'pointercancel']) pane.addEventListener(end, (event) => touching.delete(event.pointerId));
  }
  for (const image of $$('img', made)) image.addEventListener('load', look);
  return made;
}

const actions = {
  in: () => zoom(1.5, ...middle()),
  out: () => zoom(1 / 1.5, ...middle()),
  fit,
  before: () => turn(-1),
  after: () => turn(1),
  close: () => dialog.close(),
};

function draw() {
  const shown = [pictures[0], beside ? pictures[beside] : null];
  $$('figure', dialog).forEach((figure, number) => {
    const picture = shown[number];
    figure.hidden = !picture;
    if (!picture) return;
    $('img', figure).src = picture.source;
    $('img', figure).alt = picture.name;
    $('figcaption', figure).textContent = picture.name;
  });
  for (const name of ['before', 'after']) $(`[data-do="${name}"]`, dialog).hidden = pictures.length < 2;
}

function turn(by) {
  const others = pictures.length - 1;
  if (!others) return;
  beside = ((beside - 1 + by + others) % others) + 1;
  draw();
}

// --- zoom and pan: one place and one scale for both pictures ---

const pane = () => $('.pane', dialog).getBoundingClientRect();
const middle = () => [pane().width / 2, pane().height / 2];

function inside(event) {
  const box = event.currentTarget.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function fit() {
  [scale, x, y] = [1, 0, 0];
  place();
}

function zoom(by, overX, overY) {
  const wanted = Math.min(Math.max(scale * by, 1), MOST);
  x = overX - (wanted / scale) * (overX - x);
  y = overY - (wanted / scale) * (overY - y);
  scale = wanted;
  place();
}

function place() {
  const { width, height } = pane();
  x = Math.min(Math.max(x, width * (1 - scale)), 0);
  y = Math.min(Math.max(y, height * (1 - scale)), 0);
  for (const image of $$('img', dialog)) image.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  look();
}

/** Say how large the picture is, and ask for the original where its pixels would be seen. */
function look() {
  const says = [];
  for (const image of $$('figure:not([hidden]) img', dialog)) {
    const { width, height } = pane();
    if (!image.naturalWidth) continue;
    const drawn = Math.min(width / image.naturalWidth, height / image.naturalHeight) * scale;
    const original = image.src.replace('size=page', 'size=original');
    const reduced = original !== image.src && Math.max(image.naturalWidth, image.naturalHeight) >= 1000;
    const close = reduced && drawn * devicePixelRatio > 1.01;
    if (close) image.src = original;
    says.push(close ? 'the original is on its way' : reduced ? '' : `${image.naturalWidth} × ${image.naturalHeight} pixels`);
  }
  $('output', dialog).textContent = `${Math.round(100 * scale)} %${says[0] ? `, ${says[0]}` : ''}`;
}

function wheel(event) {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / (event.deltaMode ? 20 : 400)), ...inside(event));
}

function touch(event) {
  event.currentTarget.setPointerCapture(event.pointerId);
  touching.set(event.pointerId, inside(event));
}

function drag(event) {
  const before = touching.get(event.pointerId);
  if (!before) return;
  const now = inside(event);
  const [other] = [...touching].filter(([pointer]) => pointer !== event.pointerId).map(([, where]) => where);
  touching.set(event.pointerId, now);
  if (other) {
    const apart = (where) => Math.hypot(where[0] - other[0], where[1] - other[1]) || 1;
    zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  } else {
    x += now[0] - before[0];
    y += now[1] - before[1];
    place();
  }
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = 80;
  const keys = {
    '+': actions.in, '=': actions.in, '-': actions.out, 0: fit, n: actions.after, p: actions.before, v: actions.close,
    ArrowLeft: () => { x += step; place(); },
    ArrowRight: () => { x -= step; place(); },
    ArrowUp: () => { y += step; place(); },
    ArrowDown: () => { y -= step; place(); },
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  event.stopPropagation();
  keys[event.key]();
}
