// Tables whose cells stay where they are while their text changes.

// columns: [{ name, text(row), number?, wide?, bar?(row), flag?(row) }]; the first names the row.
function fillTable(table, columns, rows, empty) {
  if (!table.tHead) {
    const heads = columns.map((column) => el('th', { scope: 'col', class: kind(column) }, column.name));
    table.append(el('thead', {}, el('tr', {}, ...heads)), el('tbody', {}));
  }
  const body = table.tBodies[0];
  if (rows.length === 0) {
    body.replaceChildren(el('tr', {}, el('td', { colspan: columns.length, class: 'empty' }, empty)));
    return;
  }
  if (body.querySelector('.empty')) body.replaceChildren();
  while (body.rows.length > rows.length) body.lastElementChild.remove();
  rows.forEach((row, i) => {
    if (!body.rows[i]) {
      const cell = (column, n) => {
        const node = el(n === 0 ? 'th' : 'td', n === 0 ? { scope: 'row' } : { class: kind(column) });
        node.append(el('span', column.mono ? { class: 'mono' } : {}));
        if (column.bar) node.append(el('span', { class: 'bar', 'aria-hidden': 'true' }));
        return node;
      };
      body.append(el('tr', {}, ...columns.map(cell)));
    }
    columns.forEach((column, n) => {
      const cell = body.rows[i].cells[n];
      put(cell.firstChild, column.text(row));
      cell.classList.toggle('flag', Boolean(column.flag?.(row)));
      if (column.bar) {
        cell.lastChild.hidden = column.bar(row) == null;
        cell.lastChild.style.setProperty('--share', column.bar(row) ?? 0);
      }
    });
  });
}

const kind = (column) => [column.number && 'number', column.wide && 'wide'].filter(Boolean).join(' ');

const FIGURES = [
  { name: 'Reads', number: true, text: ([, one]) => count(one.hits + one.misses) },
  { name: 'Hit ratio', number: true, text: ([, one]) => percent(one.hit_ratio), bar: ([, one]) => one.hit_ratio },
  { name: 'In memory', number: true, wide: true, text: ([, one]) => percent(one.hits ? one.l1_hits / one.hits : null) },
  { name: 'Stale', number: true, wide: true, text: ([, one]) => count(one.stale) },
  { name: 'Written', number: true, wide: true, text: ([, one]) => count(one.sets) },
  { name: 'Deleted', number: true, wide: true, text: ([, one]) => count(one.deletes) },
  { name: 'Errors', number: true, text: ([, one]) => count(one.errors), flag: ([, one]) => one.errors > 0 },
];
const NAMESPACES = [{ name: 'Namespace', text: ([name]) => name }, ...FIGURES];
const WORKSPACES = [{ name: 'Workspace', text: ([name]) => name }, ...FIGURES];
const KEYS = [
  { name: 'Key', mono: true, text: (one) => one.key },
  { name: 'Workspace', wide: true, text: (one) => one.workspace ?? NONE },
  { name: 'Hits, about', number: true, text: (one) => short(one.hits) },
];
const ROUTES = [
  { name: 'Route', mono: true, text: (one) => one.route },
  { name: 'Rule', text: (one) => (one.never ? 'never cached' : 'cached') },
  { name: 'Matched', number: true, text: (one) => (one.matched === 0 ? 'never' : count(one.matched)), flag: (one) => one.matched === 0 },
];

const MOST_ROWS = 50;
const byReads = (figures) => Object.entries(figures).sort(([, a], [, b]) => b.hits + b.misses - (a.hits + a.misses));

function showNamespaces(report) {
  fillTable($('namespaces'), NAMESPACES, byReads(report.namespaces), 'No namespace has been used yet.');
}

function showWorkspaces(report) {
  const wanted = $('find-workspace').value.trim().toLowerCase();
  const all = byReads(report.workspaces);
  const found = all.filter(([name]) => name.toLowerCase().includes(wanted));
  const empty = wanted ? 'No workspace has this in its name.' : 'No key that was read names a workspace.';
  fillTable($('workspaces'), WORKSPACES, found.slice(0, MOST_ROWS), empty);
  const others = report.other_workspaces;
  const notes = [];
  if (found.length > MOST_ROWS) notes.push(`And ${count(found.length - MOST_ROWS)} more with fewer reads.`);
  if (others && others.hits + others.misses > 0) notes.push(`Others, not counted apart: ${count(others.hits + others.misses)} reads, ${percent(others.hit_ratio)} hits.`);
  put($('workspaces-more'), notes.join(' '));
}

function showKeys(report) {
  fillTable($('keys'), KEYS, report.keys, 'No hit has been sampled yet.');
  put($('keys-note'), report.keys.length === 0 ? '' : report.one_of > 1 ? `By one of ${count(report.one_of)} hits.` : '');
}

function showRoutes({ rules }) {
  $('routes-section').hidden = false;
  fillTable($('routes'), ROUTES, rules, 'No rules by route are declared.');
  const never = rules.filter((rule) => rule.matched === 0).length;
  put($('routes-note'), never > 0 ? `${several(never, 'rule has', 'rules have')} never matched a request: perhaps a typo.` : '');
}
