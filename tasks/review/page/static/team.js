// How far each reviewer is, asked for again while the page is looked at.

import { $, clock, figures, get } from './common.js';

const EVERY = 4000;

function cell(text, name = 'td') {
  const made = Object.assign(document.createElement(name), { textContent: text, dir: 'auto' });
  if (name === 'th') made.scope = 'row';
  return made;
}

function row(person) {
  const made = document.createElement('tr');
  const name = cell(person.name, 'th');
  if (person.is_here) name.append(Object.assign(document.createElement('span'), { className: 'tag here', textContent: 'here now' }));
  made.append(
    name,
    cell(person.classes.join(', ') || '–'),
    cell(person.share ?? 'all'),
    cell(person.decided),
    cell(person.left),
    cell(person.recent),
    cell(person.last ? clock(person.last) : '–'),
  );
  return made;
}

async function refresh() {
  if (!document.hidden) {
    try {
      const [team, news] = await Promise.all([get('/api/team'), get('/api/progress')]);
      $('#team tbody').replaceChildren(...team.map(row));
      figures(news);
      document.body.dataset.ready = '1';
    } catch {
      // asked again in a moment
    }
  }
  setTimeout(refresh, EVERY);
}

refresh();
