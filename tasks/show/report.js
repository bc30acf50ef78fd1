// Marks of the figures say under the mouse what they are.
const tip = document.getElementById('tip');
addEventListener('pointerover', (event) => {
  const mark = event.target.closest?.('[data-tip]');
  tip.hidden = !mark?.dataset.tip;
  if (mark) tip.textContent = mark.dataset.tip;
});
addEventListener('pointermove', (event) => {
  if (tip.hidden) return;
  const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const above = event.clientY - tip.offsetHeight - 12;
  tip.style.transform = `translate(${Math.max(left, 8)}px, ${above < 8 ? event.clientY + 18 : above}px)`;
});
// Served by the review page, cards and counts lead to their samples there.
if (location.protocol.startsWith('http') && location.pathname === '/report') {
  document.documentElement.dataset.served = '';
  for (const link of document.querySelectorAll('[data-to]')) link.href = link.dataset.to;
}
// What a link leads to, and what is printed, is open.
const unfold = () => document.getElementById(decodeURIComponent(location.hash.slice(1)))?.closest('details')?.setAttribute('open', '');
addEventListener('hashchange', unfold);
addEventListener('beforeprint', () => document.querySelectorAll('details').forEach((one) => one.setAttribute('open', '')));
unfold();
