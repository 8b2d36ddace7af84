// The figures, the charts, and what works.
let factsShown = '';

addChart('chart-ratio', { series: [{ key: 'ratio', name: 'hits' }], top: 1, format: percent, scale: (ratio) => `${Math.round(ratio * 100)} %`, empty: 'Drawn once there are reads.' });
addChart('chart-reads', { series: [{ key: 'reads', name: 'reads' }, { key: 'misses', name: 'misses', second: true }], format: (n) => rate(n).join(''), empty: 'Drawn after the second look.' });
addChart('chart-latency', { series: [{ key: 'median', name: 'median' }, { key: 'slow', name: '95 %', second: true }], format: duration, empty: 'Nothing was timed yet. A hit in memory is not: it takes microseconds.' });

function showStats(report) {
  remember(report);
  const operator = report.viewer.role === 'operator';
  for (const node of document.querySelectorAll('.operator')) if (node.id !== 'routes-section' || !operator) node.hidden = !operator;
  put($('viewer'), operator ? location.host : `workspace ${report.viewer.workspace} at ${location.host}`);
  showFigures(report);
  const drawn = points();
  put($('latency-title'), isOfStore(report) ? `${report.store.name} reads` : 'Computing');
  for (const id of charts.keys()) updateChart(id, drawn);
  if (operator) showNamespaces(report);
  showWorkspaces(report);
  nameNamespaces(Object.keys(report.namespaces));
  document.title = report.total.hit_ratio == null ? 'Cache' : `${percent(lastMinute()?.ratio ?? report.total.hit_ratio)} · Cache`;
}

function showFigures({ total, memory, enabled }) {
  const minute = lastMinute();
  const now = minute?.ratio != null;
  putValue($('now-ratio'), share(now ? minute.ratio : total.hit_ratio));
  put($('now-ratio-note'), !enabled ? 'caching is switched off' : now ? `last minute; ${percent(total.hit_ratio)} since the start` : total.hit_ratio == null ? 'no reads yet' : 'since the start');
  putValue($('now-reads'), rate(minute?.reads));
  put($('now-reads-note'), `per second; ${short(total.hits + total.misses)} in all`);
  putValue($('now-saved'), total.saved_us > 0 ? span(total.saved_us) : [NONE]);
  put($('now-saved-note'), total.saved_us > 0 ? `of computing, by ${several(total.computes, 'computation', 'computations')}` : 'no computation has been timed');
  if (memory) {
    putValue($('now-memory'), size(memory.bytes));
    put($('now-memory-note'), `${several(memory.entries, 'entry', 'entries')} in this process`);
  }
  putValue($('now-errors'), [short(total.errors)]);
  put($('now-errors-note'), total.unreadable > 0 ? `and ${count(total.unreadable)} unreadable` : 'since the start');
}

// facts: [name, text, { mood?, note?, share? }]
function showHealth({ status, ready, details }, stats) {
  if (!details) return;
  const { store, memory } = stats;
  const facts = [overall(status, ready, details), ...storeFacts(details, store), coherenceFact(details)];
  for (const { ability, instead } of details.missing_abilities) facts.push(['Refused', ability, { mood: 'warn', note: instead }]);
  if (details.queued_invalidations > 0) {
    facts.push(['Waiting', several(details.queued_invalidations, 'invalidation', 'invalidations'), { mood: 'warn', note: `since ${clock(details.queued_at)}: the store is told once it is back` }]);
  }
  if (details.store_changes > 0) {
    facts.push(['Store changed', several(details.store_changes, 'time', 'times'), { note: `last at ${clock(details.store_changed_at)}${details.reads_held ? '; not read for now' : ''}` }]);
  }
  if (memory) facts.push(memoryFact('This process', memory.bytes, memory.capacity_bytes, [several(memory.entries, 'entry', 'entries'), memory.evictions != null && `${count(memory.evictions)} evicted`]));
  const server = store?.server;
  if (server) {
    facts.push(memoryFact(server.version ? `Server ${server.version}` : 'Server', server.used_memory_bytes, server.max_memory_bytes, [
      server.keys != null && several(server.keys, 'key', 'keys'),
      server.evicted_keys != null && `${count(server.evicted_keys)} evicted`,
      server.operations_per_second != null && `${count(server.operations_per_second)} commands/s`,
    ]));
  }
  facts.push(['Background', several(details.background_tasks, 'task', 'tasks'), {}]);
  const key = JSON.stringify(facts);
  if (key === factsShown) return;
  factsShown = key;
  $('health').replaceChildren(...facts.flatMap(([name, text, more]) => [el('dt', {}, name), factValue(text, more)]));
}

function factValue(text, { mood, note, share: part }) {
  const line = el('span', { class: 'line' }, ...(mood ? [el('span', { class: `dot ${mood}`, 'aria-hidden': 'true' })] : []), el('span', {}, text));
  const value = el('dd', {}, line);
  if (part != null) {
    const bar = el('span', { class: part > 0.9 ? 'bar full' : 'bar', 'aria-hidden': 'true' });
    bar.style.setProperty('--share', Math.min(part, 1));
    value.append(bar);
  }
  if (note) value.append(el('span', { class: 'note' }, note));
  return value;
}

function overall(status, ready, details) {
  if (status === 'off') return ['Cache', 'Switched off', { mood: 'warn', note: 'every request goes to the origin' }];
  if (status === 'ok') return ['Cache', 'All works', { mood: 'ok' }];
  return ['Cache', ready ? 'Degraded' : 'Degraded, not ready', { mood: 'bad', note: details.fault ?? 'requests are answered, but not all of the cache works' }];
}

const BREAKER = {
  closed: ['Closed', { mood: 'ok', note: 'the store is asked' }],
  open: ['Open', { mood: 'bad', note: 'the store is not asked until a probe succeeds' }],
  half_open: ['Half-open', { mood: 'bad', note: 'one probe asks whether the store is back' }],
};

function storeFacts(details, store) {
  if (details.store === 'memory') return [['Store', 'None: in memory only', { mood: 'ok' }]];
  const facts = [['Store', details.reachable ? `${details.store}, answers in ${duration(details.latency_us)}` : `${details.store} does not answer`, { mood: details.reachable ? 'ok' : 'bad' }]];
  if (details.breaker) facts.push(['Breaker', ...BREAKER[details.breaker]]);
  const pool = store?.pool;
  if (pool) facts.push(['Pool', several(pool.connections, 'connection', 'connections'), { note: `${count(pool.idle)} idle${pool.max != null ? `, ${count(pool.max)} at most` : ''}${pool.waiting > 0 ? `; ${count(pool.waiting)} wait for one` : ''}`, share: pool.max ? pool.connections / pool.max : null }]);
  return facts;
}

function coherenceFact({ coherence: { mode, proven, fault, typical_ms: typical, bound_ms: bound } }) {
  const within = `a change elsewhere is known within ${duration(typical * 1000)}, ${duration(bound * 1000)} at most`;
  if (mode === 'memory') return ['Coherence', 'Nothing to agree with', { note: 'no other instance shares this memory' }];
  return ['Coherence', proven ? `Proven, by ${mode}` : `Not proven (${mode})`, { mood: proven ? 'ok' : 'warn', note: fault ?? within }];
}

function memoryFact(name, used, most, rest) {
  const text = used == null ? 'memory not told' : most ? `${bytes(used)} of ${bytes(most)}` : bytes(used);
  return [name, text, { note: rest.filter(Boolean).join(', '), share: used != null && most ? used / most : null }];
}

const KEPT_EVENTS = 8;
const BADGES = { queued: 'warn', failed: 'bad', stopped: 'warn' };

// Each probe of a store that is away is told, and would soon be all that is shown.
let lastBreaker = '';
function repeats({ event, state }) {
  if (event !== 'breaker') return false;
  if (state === 'half_open' || state === lastBreaker) return true;
  lastBreaker = state;
  return false;
}

function showEvent(event) {
  if (repeats(event)) return;
  const line = { invalidated: invalidatedLine, breaker: breakerLine, version_bumped: bumpedLine }[event.event];
  if (!line) return;
  $('events-empty').hidden = true;
  $('events').prepend(el('li', {}, el('time', {}, clock(event.at)), ...line(event)));
  while ($('events').childElementCount > KEPT_EVENTS) $('events').lastElementChild.remove();
}

const badge = (text, mood) => el('span', { class: `badge ${mood}` }, text);

// Of a key what tells it from others: variants of one response are told together.
function scopeName({ kind, text, namespace, workspace }) {
  const name = kind === 'key' ? text.replace(/^.*?:v\d+:/, '').replace(/:~[0-9a-f]{32}$/, '') : text;
  return kind === 'tag' && workspace ? `tag ${name} of workspace ${workspace}` : named({ kind, name, namespace });
}

function invalidatedLine({ scopes, more, outcome, soft, removed, took_us: took }) {
  const names = [...new Set(scopes.map(scopeName))];
  const left = more + Math.max(0, names.length - 3);
  const what = el('span', {}, [...names.slice(0, 3), ...(left > 0 ? [`${count(left)} more`] : [])].join(', ') || 'nothing');
  if (removed != null) what.append(badge(several(removed, 'entry', 'entries'), ''));
  if (soft) what.append(badge('soft', ''));
  if (outcome !== 'complete') what.append(badge(outcome, BADGES[outcome] ?? ''));
  return [what, el('span', { class: 'took' }, duration(took))];
}

const bumpedLine = ({ namespace, version }) => [el('span', {}, `namespace ${namespace}: version ${version}`), ''];

function breakerLine({ state, reason }) {
  const what = el('span', {}, state === 'open' ? `The store is away${reason ? `: ${reason}` : ''}` : 'The store is back');
  what.append(badge(`breaker ${state}`, state === 'open' ? 'bad' : ''));
  return [what, ''];
}
