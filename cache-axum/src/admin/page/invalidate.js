// The form: a dry run comes first, and what it counted is what the real button sends.
let checked = null;

const lines = (id) => $(id).value.split('\n').map((line) => line.trim()).filter(Boolean);

function wanted() {
  const body = { keys: lines('key-list'), patterns: lines('patterns'), tags: lines('tags'), soft: $('soft').checked };
  if (body.tags.length > 0 && $('tags-in').value.trim()) body.tags_in = $('tags-in').value.trim();
  if ($('workspace').value.trim()) body.workspace = $('workspace').value.trim();
  if ($('namespace').value) body.namespace = $('namespace').value;
  return body;
}

const namesNothing = (body) => !body.workspace && !body.namespace && [body.keys, body.patterns, body.tags].every((list) => list.length === 0);

function uncheck() {
  checked = null;
  $('really').disabled = true;
  put($('really'), 'Invalidate');
}

function tell(head, items = [], mood = '') {
  const list = items.length > 0 ? [el('ul', {}, ...items.map((item) => el('li', {}, item)))] : [];
  $('outcome').replaceChildren(el('p', mood ? { class: mood } : {}, head), ...list);
}

const entries = (scope) => (scope.entries == null ? 'entries not counted' : `${scope.at_least ? 'at least ' : ''}${several(scope.entries, 'entry', 'entries')}`);
const named = ({ kind, name, namespace }) => `${kind} ${name}${namespace && ['key', 'pattern'].includes(kind) ? ` of ${namespace}` : ''}`.trim();

async function dryRun(event) {
  event.preventDefault();
  uncheck();
  const body = wanted();
  if (namesNothing(body)) return tell('Nothing is named yet: give a pattern, a key, a tag, a workspace or a namespace.', [], 'error');
  try {
    const { scopes } = await askJson('invalidate', { body: { ...body, dry_run: true } });
    if (JSON.stringify(body) !== JSON.stringify(wanted())) return undefined;
    const known = scopes.filter((scope) => scope.entries != null);
    const sum = known.reduce((total, scope) => total + scope.entries, 0);
    const open = known.length < scopes.length || scopes.some((scope) => scope.at_least);
    const about = known.length === 0 ? 'what is named' : `${open ? 'at least ' : ''}${several(sum, 'entry', 'entries')}`;
    tell(`Nothing was changed. It would ${body.soft ? 'make stale' : 'remove'} ${about}:`, scopes.map((scope) => `${named(scope)}: ${entries(scope)}`));
    checked = body;
    put($('really'), known.length === 0 ? 'Invalidate' : `Invalidate ${about}`);
    $('really').disabled = false;
  } catch (error) {
    refused(error);
  }
  return undefined;
}

async function invalidate() {
  const body = checked;
  uncheck();
  if (!body) return;
  $('dry-run').focus();
  try {
    const report = await askJson('invalidate', { body: { ...body, dry_run: false } });
    const where = report.outcome === 'queued' ? 'Invalidated in this process; elsewhere once the store is back' : `Invalidated${report.soft ? ', softly' : ''}`;
    tell(`${where}, in ${duration(report.took_us)}:`, report.scopes.map(named));
  } catch (error) {
    refused(error);
  }
}

function refused(error) {
  if (error.status === 401) signOut(error.message);
  else tell(error.status === 0 ? `${error.message} What became of it is not known.` : error.message, [], 'error');
}

let namesShown = '';

// The choice stays, whatever new namespaces come.
function nameNamespaces(names) {
  const key = JSON.stringify(names);
  if (key === namesShown) return;
  namesShown = key;
  const chosen = $('namespace').value;
  const options = names.map((name) => el('option', { value: name }, name));
  $('namespace').replaceChildren($('namespace').options[0], ...options);
  $('namespace').value = names.includes(chosen) ? chosen : '';
}

function forgetForm() {
  $('invalidate').reset();
  $('outcome').replaceChildren();
  uncheck();
}

$('invalidate').addEventListener('submit', dryRun);
$('invalidate').addEventListener('input', uncheck);
$('really').addEventListener('click', invalidate);
$('find-workspace').addEventListener('input', () => latest && showWorkspaces(latest));
