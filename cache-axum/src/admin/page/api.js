// What is asked of the API beside this page; the token goes with each request, and nowhere else.
const BASE = location.pathname.replace(/\/+$/, '');
const KEPT_AS = 'cache-admin-token';

const token = {
  get: () => sessionStorage.getItem(KEPT_AS),
  set: (value) => sessionStorage.setItem(KEPT_AS, value),
  forget: () => sessionStorage.removeItem(KEPT_AS),
};

// Status 0: there was no answer.
class Refused extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function ask(path, { body, signal } = {}) {
  const headers = { accept: 'application/json, text/event-stream', authorization: `Bearer ${token.get()}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const response = await fetch(`${BASE}/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal,
    cache: 'no-store',
    credentials: 'same-origin',
    redirect: 'error',
  }).catch((error) => {
    throw error.name === 'AbortError' ? error : new Refused(0, 'The service does not answer.');
  });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get('retry-after')) || 0;
  throw new Refused(response.status, problem.detail || `The service answered with ${response.status}.`, wait);
}

const askJson = async (path, options) => (await ask(path, options)).json();

// Server-sent events, by fetch: an EventSource can't send the token.
async function listen(signal, heard) {
  const response = await ask('events', { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const messages = (rest + value).replaceAll('\r\n', '\n').split('\n\n');
    rest = messages.pop();
    for (const message of messages) {
      const data = message.split('\n').filter((line) => line.startsWith('data:'));
      if (data.length > 0) heard(JSON.parse(data.map((line) => line.slice(5).trimStart()).join('\n')));
    }
  }
}
