import assert from 'node:assert/strict';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import test from 'node:test';
import { IssuedCookie } from '../../plugins/sticky-session/issued-cookie.js';
import { cookieDefaults, type StickyOptions } from '../../plugins/sticky-session/options.js';

const options = (more: object = {}) => ({ issue: cookieDefaults, secret: 'a secret of some length', ...more }) as StickyOptions;
const asked = (cookie?: string) => ({ headers: { cookie } }) as IncomingMessage;

/** The cookies of an answer, as an HTTP client sees them. */
async function answer(respond: (response: ServerResponse) => void): Promise<string[]> {
  const server = http.createServer((_, response) => respond(response)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  return new Promise((resolve) => http.get({ port, host: '127.0.0.1', agent: false }, (response) => {
    response.resume();
    server.close();
    resolve(response.headers['set-cookie'] ?? []);
  }));
}

const forms: [string, (response: ServerResponse) => void, string[]][] = [
  ['an app that sets none', (response) => response.end('x'), []],
  ['setHeader', (response) => response.setHeader('Set-Cookie', ['a=1', 'b=2']).end(), ['a=1', 'b=2']],
  ['appendHeader', (response) => response.appendHeader('set-cookie', 'a=1').end(), ['a=1']],
  ['writeHead with an object', (response) => response.writeHead(200, { 'set-cookie': 'a=1' }).end(), ['a=1']],
  ['writeHead with a message', (response) => response.writeHead(200, 'Fine', { 'Set-Cookie': ['a=1'] }).end(), ['a=1']],
  ['writeHead with a flat list', (response) => response.writeHead(200, ['Set-Cookie', 'a=1', 'X-Y', 'z']).end(), ['a=1']],
  ['writeHead with other headers', (response) => response.setHeader('Set-Cookie', 'a=1').writeHead(200, { 'x-y': 'z' }).end(), ['a=1']],
];

for (const [name, respond, own] of forms) {
  test(`the cookie stands beside the app's own: ${name}`, async () => {
    const cookie = new IssuedCookie(options());
    const got = await answer((response) => {
      cookie.add(response, 2, false);
      respond(response);
    });
    assert.deepEqual(got.slice(0, -1), own);
    assert.match(got.at(-1)!, /^hatchery-slot=2\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/);
    assert.equal(cookie.slotIn(asked(got.at(-1)!.split(';')[0])), 2);
  });
}

test('its attributes', async () => {
  const cookie = new IssuedCookie(options({
    key: { cookie: 'mine' }, issue: { path: '/app', sameSite: 'none', domain: 'example.org', maxAge: 60 },
  }));
  const [text] = await answer((response) => {
    cookie.add(response, 0, true);
    response.end();
  });
  assert.match(text!, /^mine=0\.[\w-]+; Path=\/app; HttpOnly; SameSite=None; Secure; Domain=example\.org; Max-Age=60$/);
});

test('forged, truncated, of another secret or name, or nonsense: none', async () => {
  const cookie = new IssuedCookie(options());
  const [text] = await answer((response) => {
    cookie.add(response, 1, false);
    response.end();
  });
  const value = text!.split(';')[0]!.slice('hatchery-slot='.length);
  assert.equal(cookie.slotIn(asked(`a=b; hatchery-slot=${value}; c=d`)), 1);
  assert.equal(cookie.slotIn(asked(`hatchery-slot="${value}"`)), 1);
  for (const forged of [
    value.slice(0, -1), `2${value.slice(1)}`, '1', '1.', '', '1.AAAA', `${'9'.repeat(5000)}.x`, `x${value}`, '-1.', '1e3.',
    value.toUpperCase(),
  ]) {
    assert.equal(cookie.slotIn(asked(`hatchery-slot=${forged}`)), undefined, forged);
  }
  assert.equal(cookie.slotIn(asked()), undefined);
  assert.equal(new IssuedCookie(options({ secret: 'another secret, as long' })).slotIn(asked(`hatchery-slot=${value}`)), undefined);
  assert.equal(new IssuedCookie(options({ key: { cookie: 'other' } })).slotIn(asked(`other=${value}`)), undefined);
});
