// Asks as several tenants would, until it is told to stop.
'use strict';

const AT_ONCE = 4;
const PAUSE_MS = 20;
const button = document.getElementById('load');
const made = { asked: 0, hits: 0, failed: 0 };
let running = false;

// Small numbers are wanted more often.
const number = (most) => 1 + Math.floor(most * Math.random() ** 3);

function next() {
  const workspace = { 'X-Workspace-ID': `ws${number(5)}` };
  const dice = Math.random();
  if (dice < 0.005) {
    const headers = { ...workspace, 'Content-Type': 'application/json' };
    return fetch(`/campaigns/${number(60)}`, { method: 'POST', headers, body: JSON.stringify({ budget: number(5000) }) });
  }
  const path = dice < 0.08 ? '/overview' : dice < 0.2 ? `/campaigns?page=${number(5)}&limit=20` : dice < 0.6 ? `/campaigns/${number(60)}` : `/campaigns/${number(12)}/stats`;
  // Past the browser's own cache; which would say `no-cache` then, if nothing else were said.
  const headers = { ...workspace, 'Cache-Control': 'max-age=86400' };
  return fetch(path, { headers, cache: 'no-store' });
}

async function ask() {
  while (running) {
    try {
      const response = await next();
      await response.arrayBuffer();
      made.asked += 1;
      if (/; hit/.test(response.headers.get('cache-status') ?? '')) made.hits += 1;
    } catch {
      made.failed += 1;
    }
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
}

function report() {
  const hits = made.asked > 0 ? Math.floor((100 * made.hits) / made.asked) : 0;
  const failed = made.failed > 0 ? `, ${made.failed} without an answer` : '';
  document.getElementById('made').textContent = `${made.asked} requests, ${hits} % hits${failed}`;
}

button.addEventListener('click', () => {
  running = !running;
  button.setAttribute('aria-pressed', String(running));
  button.textContent = running ? 'Stop' : 'Make load';
  if (running) for (let i = 0; i < AT_ONCE; i += 1) ask();
});
setInterval(() => running && report(), 500);
