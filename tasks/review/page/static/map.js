// The map: every sample a dot, coloured by its given label; what the queue holds has a ring. A line drawn around some of them is
// a filter of the grid. Coordinates are those of the server, from 0 to 1, so that a lasso means the same there.

import { $, $$, onKey, toast } from './common.js';

const canvas = $('#map');
const stage = $('#map-stage');
const pen = canvas.getContext('2d');
const tip = $('#map-tip');
const names = JSON.parse(canvas.dataset.classes);
const QUEUED = 1;
const DECIDED = 2;
const NEAR = 12; // pixels within which a dot is meant
const CORNERS = 80; // of a lasso at most: an address holds no more

let points = null; // { n, positions, views: { plane, classes }, labels, states }
let view = 'plane';
let only = -1; // the class that stands out, -1 for all
let lasso = []; // in coordinates of the data
let zoom = 1;
let centre = [0.5, 0.5];
let ratio = 1;

// --- where things are ---

const size = () => Math.min(canvas.clientWidth, canvas.clientHeight) * 0.94 * zoom;
const toScreen = (x, y) => [
  canvas.clientWidth / 2 + (x - centre[0]) * size(),
  canvas.clientHeight / 2 - (y - centre[1]) * size(),
];
const toData = (left, top) => [
  centre[0] + (left - canvas.clientWidth / 2) / size(),
  centre[1] - (top - canvas.clientHeight / 2) / size(),
];
const spot = (event) => {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};

// --- drawing ---

/** Colours go around the circle by the golden angle: neighbours in the list are far apart. */
const isDark = matchMedia('(prefers-color-scheme: dark)');
const colour = (label) => `hsl(${(label * 137.508 + 210) % 360} 62% ${isDark.matches ? 66 : 46}%)`;

let asked = false;
function draw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; paint(); });
}

function paint() {
  if (!points) return;
  ratio = devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const where = points.views[view];
  const dot = Math.max(1.5, Math.min(5, 220 / Math.sqrt(points.n)) * Math.sqrt(zoom));
  const [scale, left, top] = [size(), canvas.clientWidth / 2, canvas.clientHeight / 2];
  for (const label of points.order) {
    pen.globalAlpha = only < 0 || only === label ? 0.75 : 0.08;
    pen.fillStyle = colour(label);
    for (const at of points.byLabel[label]) {
      const x = left + (where[2 * at] - centre[0]) * scale;
      const y = top - (where[2 * at + 1] - centre[1]) * scale;
      pen.fillRect(x - dot / 2, y - dot / 2, dot, dot);
    }
  }
  const style = getComputedStyle(document.documentElement);
  pen.lineWidth = 1.6;
  for (const at of points.queued) {
    const [x, y] = toScreen(where[2 * at], where[2 * at + 1]);
    pen.globalAlpha = only < 0 || only === points.labels[at] ? 1 : 0.15;
    pen.strokeStyle = style.getPropertyValue(points.states[at] === DECIDED ? '--good' : '--ink');
    pen.beginPath();
    pen.arc(x, y, dot / 2 + 3, 0, 2 * Math.PI);
    pen.stroke();
  }
  pen.globalAlpha = 1;
  paintLasso(style.getPropertyValue('--accent'));
}

function paintLasso(line) {
  if (lasso.length < 2) return;
  pen.beginPath();
  for (const [x, y] of lasso) pen.lineTo(...toScreen(x, y));
  pen.closePath();
  pen.strokeStyle = line;
  pen.fillStyle = line;
  pen.lineWidth = 2;
  pen.stroke();
  pen.globalAlpha = 0.12;
  pen.fill();
  pen.globalAlpha = 1;
}

// --- finding ---

function nearest(left, top) {
  const where = points.views[view];
  const [x, y] = toData(left, top);
  let best = -1;
  let least = (NEAR / size()) ** 2;
  for (let at = 0; at < points.n; at += 1) {
    if (only >= 0 && only !== points.labels[at]) continue;
    const away = (where[2 * at] - x) ** 2 + (where[2 * at + 1] - y) ** 2;
    if (away < least) [best, least] = [at, away];
  }
  return best;
}

/** How many dots, and how many of the queue, lie within the lasso: the server counts in the same way. */
function within() {
  const where = points.views[view];
  const corners = shortened();
  let [all, queued] = [0, 0];
  for (let at = 0; at < points.n; at += 1) {
    const [x, y] = [where[2 * at], where[2 * at + 1]];
    let inside = false;
    for (let i = 0, j = corners.length - 1; i < corners.length; j = i, i += 1) {
      const [[x0, y0], [x1, y1]] = [corners[j], corners[i]];
      if ((y0 > y) !== (y1 > y) && x < ((x1 - x0) * (y - y0)) / (y1 - y0) + x0) inside = !inside;
    }
    if (inside) { all += 1; queued += points.states[at] > 0; }
  }
  return [all, queued];
}

function shortened() {
  const every = Math.max(1, Math.ceil(lasso.length / CORNERS));
  return lasso.filter((_, number) => number % every === 0).map(([x, y]) => [Number(x.toFixed(4)), Number(y.toFixed(4))]);
}

function finishLasso() {
  if (lasso.length < 3) { clear(); return; }
  const [all, queued] = within();
  const text = [view, ...shortened().map(([x, y]) => `${x.toFixed(4)},${y.toFixed(4)}`)].join(';');
  const address = (state) => `/grid?${new URLSearchParams({ lasso: text, state })}`;
  $('#picked-text').textContent = `${all} sample${all === 1 ? '' : 's'}, ${queued} of them in the queue`;
  $('#picked-all').href = address('all');
  $('#picked-queue').href = `${address('all')}&among=queue`;
  $('#picked-all').hidden = !all;
  $('#picked-queue').hidden = !queued || queued === all;
  $('#picked').hidden = false;
  draw();
}

function clear() {
  lasso = [];
  $('#picked').hidden = true;
  draw();
}

// --- hands ---

const fingers = new Map();
let drag = null; // 'lasso' or 'move'
let began = [0, 0];

canvas.addEventListener('pointerdown', (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, spot(event));
  began = spot(event);
  drag = event.shiftKey || event.button === 1 || fingers.size > 1 ? 'move' : 'lasso';
  lasso = drag === 'lasso' ? [toData(...began)] : [];
  hideTip();
});

canvas.addEventListener('pointermove', (event) => {
  const now = spot(event);
  if (!fingers.has(event.pointerId)) { hover(now); return; }
  const before = fingers.get(event.pointerId);
  const others = [...fingers].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
  if (others.length) pinch(before, now, others[0]);
  else if (drag === 'move') pan(before, now);
  else { lasso.push(toData(...now)); draw(); }
  fingers.set(event.pointerId, now);
});

for (const end of ['pointerup', 'pointercancel']) {
  canvas.addEventListener(end, (event) => {
    fingers.delete(event.pointerId);
    if (fingers.size) return;
    const [x, y] = spot(event);
    const still = Math.hypot(x - began[0], y - began[1]) < 4 && lasso.length < 6;
    if (still) { clear(); open(nearest(x, y)); } else if (drag === 'lasso') finishLasso();
    drag = null;
  });
}

canvas.addEventListener('wheel', (event) => {
  event.preventDefault();
  zoomAt(spot(event), Math.exp(-event.deltaY / 400));
}, { passive: false });

function zoomAt(place, by) {
  const before = toData(...place);
  zoom = Math.min(200, Math.max(0.5, zoom * by));
  const after = toData(...place);
  centre = [centre[0] + before[0] - after[0], centre[1] + before[1] - after[1]];
  draw();
}

function pan(before, now) {
  centre = [centre[0] - (now[0] - before[0]) / size(), centre[1] + (now[1] - before[1]) / size()];
  draw();
}

function pinch(before, now, other) {
  const length = (place) => Math.max(1, Math.hypot(place[0] - other[0], place[1] - other[1]));
  zoomAt(other, length(now) / length(before));
  pan([before[0] / 2, before[1] / 2], [now[0] / 2, now[1] / 2]);
}

function open(at) {
  if (at >= 0) location.assign(`/review?state=all&at=${points.positions[at]}`);
}

// --- the sample under the pointer ---

let shown = -1;
let waiting;

function hover(place) {
  const at = points ? nearest(...place) : -1;
  canvas.style.cursor = at < 0 ? 'crosshair' : 'pointer';
  if (at === shown) return;
  hideTip();
  shown = at;
  if (at < 0) return;
  waiting = setTimeout(async () => {
    const answer = await fetch(`/tile/${points.positions[at]}`).catch(() => null);
    if (!answer?.ok || shown !== at) return;
    tip.innerHTML = await answer.text();
    const [x, y] = toScreen(...points.views[view].slice(2 * at, 2 * at + 2));
    tip.hidden = false;
    tip.style.left = `${Math.min(x + 16, stage.clientWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.max(8, Math.min(y - 20, stage.clientHeight - tip.offsetHeight - 8))}px`;
  }, 80);
}

function hideTip() {
  clearTimeout(waiting);
  shown = -1;
  tip.hidden = true;
}
canvas.addEventListener('pointerleave', hideTip);

// --- the tools beside the map ---

for (const button of $$('[data-view]')) {
  button.addEventListener('click', () => {
    view = button.dataset.view;
    $$('[data-view]').forEach((each) => each.setAttribute('aria-pressed', String(each === button)));
    hideTip();
    reset();
  });
}

function reset() {
  zoom = 1;
  centre = [0.5, 0.5];
  clear();
}

function highlight(label) {
  only = only === label ? -1 : label;
  $$('#legend button').forEach((each) => each.setAttribute('aria-pressed', String(Number(each.dataset.label) === only)));
  draw();
}

function legend() {
  $('#legend').replaceChildren(...points.order.map((label) => {
    const button = Object.assign(document.createElement('button'), { type: 'button', className: 'plain' });
    button.dataset.label = label;
    button.setAttribute('aria-pressed', 'false');
    const swatch = Object.assign(document.createElement('span'), { className: 'swatch' });
    swatch.style.background = colour(label);
    const count = Object.assign(document.createElement('span'), { className: 'count', textContent: points.byLabel[label].length });
    const name = Object.assign(document.createElement('span'), { className: 'name', textContent: names[label] });
    button.append(swatch, name, count);
    button.addEventListener('click', () => highlight(label));
    return Object.assign(document.createElement('li'), {}).appendChild(button).parentNode;
  }));
}

$('#legend-search')?.addEventListener('input', (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  $$('#legend li').forEach((each) => { each.hidden = !words.every((word) => each.textContent.toLowerCase().includes(word)); });
});

const middle = () => [canvas.clientWidth / 2, canvas.clientHeight / 2];
$('#zoom-in').addEventListener('click', () => zoomAt(middle(), 1.5));
$('#zoom-out').addEventListener('click', () => zoomAt(middle(), 1 / 1.5));
$('#zoom-reset').addEventListener('click', reset);
$('#picked-none').addEventListener('click', clear);

onKey((key) => {
  switch (key) {
    case '+': zoomAt(middle(), 1.5); return true;
    case '-': zoomAt(middle(), 1 / 1.5); return true;
    case '0': reset(); return true;
    case 'Escape': clear(); return true;
    default: return false;
  }
});

isDark.addEventListener('change', () => { legend(); draw(); });
new ResizeObserver(draw).observe(canvas);

// --- start ---

/** Rows of 23 bytes, a column after the other: position, two views of two numbers each, class, state. */
async function start() {
  const answer = await fetch('/map/points');
  if (!answer.ok) throw new Error(await answer.text());
  const bytes = await answer.arrayBuffer();
  const n = bytes.byteLength / 23;
  points = {
    n,
    positions: new Uint32Array(bytes, 0, n),
    views: { plane: new Float32Array(bytes, 4 * n, 2 * n), classes: new Float32Array(bytes, 12 * n, 2 * n) },
    labels: new Uint16Array(bytes, 20 * n, n),
    states: new Uint8Array(bytes, 22 * n, n),
    byLabel: names.map(() => []),
    queued: [],
  };
  for (let at = 0; at < n; at += 1) {
    points.byLabel[points.labels[at]].push(at);
    if (points.states[at] >= QUEUED) points.queued.push(at);
  }
  points.order = names.map((_, label) => label).filter((label) => points.byLabel[label].length);
  points.order.sort((a, b) => points.byLabel[b].length - points.byLabel[a].length);
  legend();
  paint();
  document.body.dataset.ready = '1';
}

start().catch((error) => toast(`The map did not come: ${error.message}. Reload the page.`));
