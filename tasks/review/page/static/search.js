// Search in the text of a sample. Matches are painted by the browser and change nothing in the page.

import { $, toast } from './common.js';

/** Put the whole text in the place of its beginning; the button that asked for it goes. */
export async function loadWhole(button) {
  const answer = await fetch(button.dataset.whole).catch(() => null);
  if (!answer?.ok) {
    toast('The text did not come. Try again in a moment.');
    return;
  }
  button.parentElement.querySelector('.prose').innerHTML = await answer.text();
  button.remove();
}

/** Find what is typed in `box` in the text `prose`; Enter goes to the next match, Shift and Enter to the one before. */
export function wireSearch(box, prose) {
  const count = box.parentElement.querySelector('output');
  let found = [];
  let at = 0;

  const paint = () => {
    CSS.highlights?.set('found', new Highlight(...found));
    CSS.highlights?.set('found-here', found.length ? new Highlight(found[at]) : new Highlight());
    count.textContent = box.value ? (found.length ? `${at + 1} of ${found.length}` : 'not in this text') : '';
    if (!found.length) return;
    const place = found[at].getBoundingClientRect();
    const frame = prose.getBoundingClientRect();
    if (place.top < frame.top || place.bottom > frame.bottom) prose.scrollTop += place.top - frame.top - frame.height / 3;
  };
  const search = async () => {
    const rest = $('[data-whole]', prose.parentElement);
    if (box.value && rest) await loadWhole(rest);
    found = box.value ? matches(prose, box.value) : [];
    at = 0;
    paint();
  };
  let waiting;
  box.addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 120);
  });
  box.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !found.length) return;
    event.preventDefault();
    at = (at + (event.shiftKey ? found.length - 1 : 1)) % found.length;
    paint();
  });
  CSS.highlights?.clear();
}

/** Ranges of the page that hold the words, upper or lower case; a match may run over several marked words. */
function matches(prose, words) {
  const nodes = [];
  const walker = document.createTreeWalker(prose, NodeFilter.SHOW_TEXT);
  let text = '';
  while (walker.nextNode()) {
    nodes.push({ node: walker.currentNode, start: text.length });
    text += walker.currentNode.data;
  }
  const pattern = new RegExp(words.replace(/[.*+?^${}()|[\]\\\/-]/g, '\\$&').replace(/\\-/g, '-'), 'giu');
  let here = 0;
  const place = (offset, end) => {
    while (here + 1 < nodes.length && nodes[here + 1].start + (end ? 0 : -1) < offset) here += 1;
    return [nodes[here].node, offset - nodes[here].start];
  };
  return [...text.matchAll(pattern)].map((match) => {
    const range = new Range();
    range.setStart(...place(match.index, false));
    range.setEnd(...place(match.index + match[0].length, true));
    return range;
  });
}
