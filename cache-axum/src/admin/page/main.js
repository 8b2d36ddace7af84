// Signing in and out, and asking every two seconds.
let running = null; // an AbortController while signed in
let paused = false;
let latest = null;
let turn = 0;

function state(mood, text) {
  $('state').className = `state ${mood}`;
  put($('state-text'), text);
}

function notice(text) {
  $('notice').hidden = !text;
  put($('notice'), text);
}

const pause = (ms, signal) =>
  new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true });
  });

// What only some may see, or some services have, is left out when it is refused.
async function optional(path, signal, show) {
  try {
    show(await askJson(path, { signal }));
  } catch (error) {
    if (![403, 404, 501].includes(error.status)) throw error;
  }
}

async function look(signal) {
  latest = await askJson('stats', { signal });
  if (signal.aborted) return;
  showStats(latest);
  const operator = latest.viewer.role === 'operator';
  if (operator && turn % 2 === 0) await optional('health', signal, (report) => showHealth(report, latest));
  if (turn % 3 === 0) await optional('keys/top?limit=10', signal, showKeys);
  if (operator && turn % 5 === 0) await optional('routes', signal, showRoutes);
  turn += 1;
}

async function follow(signal) {
  while (!signal.aborted) {
    let wait = EVERY_MS;
    try {
      if (!paused) {
        await look(signal);
        state('ok', 'Live');
        notice('');
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) return signOut(error.message);
      if (!(error instanceof Refused)) console.error(error);
      wait = Math.max(EVERY_MS, (error.retryAfter || 0) * 1000);
      state('bad', error.status === 0 ? 'No answer' : 'In trouble');
      notice(`${error.message} The figures are the last ones; trying again.`);
    }
    await pause(wait, signal);
  }
}

async function hear(signal) {
  for (let wait = EVERY_MS; !signal.aborted; wait = Math.min(wait * 2, 30_000)) {
    try {
      await listen(signal, (event) => {
        wait = EVERY_MS;
        showEvent(event);
      });
    } catch (error) {
      if ([401, 403, 404].includes(error.status)) return;
    }
    await pause(wait, signal);
  }
}

function show(signedIn) {
  $('sign-in').hidden = signedIn;
  $('board').hidden = !signedIn;
  $('session').hidden = !signedIn;
}

function begin() {
  running = new AbortController();
  turn = 0;
  paused = false;
  setPaused(false);
  state('', 'Waiting');
  show(true);
  follow(running.signal);
  hear(running.signal);
}

function signOut(reason) {
  running?.abort();
  running = null;
  token.forget();
  samples.length = 0;
  latest = null;
  forgetForm();
  $('events').replaceChildren();
  $('events-empty').hidden = false;
  for (const table of document.querySelectorAll('table')) table.replaceChildren();
  $('health').replaceChildren();
  factsShown = '';
  put($('viewer'), '');
  document.title = 'Cache';
  notice('');
  show(false);
  put($('sign-in-error'), reason ?? '');
  $('token').focus();
}

async function signIn(event) {
  event.preventDefault();
  put($('sign-in-error'), '');
  const given = $('token').value.trim();
  token.set(given);
  try {
    // Anything else can't stand in a header.
    if (!/^[\x21-\x7e]+$/.test(given)) throw new Refused(401);
    await ask('stats');
  } catch (error) {
    token.forget();
    put($('sign-in-error'), error.status === 401 ? 'This token is not accepted.' : error.message);
    $('token').select();
    return;
  }
  $('token').value = '';
  begin();
  $('main').focus();
}

function setPaused(value) {
  paused = value;
  $('pause').setAttribute('aria-pressed', String(paused));
  if (paused) state('warn', 'Paused');
}

$('sign-in-form').addEventListener('submit', signIn);
$('sign-out').addEventListener('click', () => signOut());
$('pause').addEventListener('click', () => setPaused(!paused));

if (token.get()) begin();
else {
  show(false);
  $('token').focus();
}
