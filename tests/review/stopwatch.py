"""Takes the time, in the browser, from a key to the moment the next sample stands on the page."""

STOPWATCH = """() => {
    window.times = [];
    let pressed = 0;
    document.addEventListener('keydown', () => { pressed = performance.now(); }, true);
    new MutationObserver(() => window.times.push(performance.now() - pressed))
        .observe(document.querySelector('#stage'), { childList: true });
}"""
