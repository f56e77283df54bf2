import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { openBrowser } from '../helpers/browser.js';
import { bin, freePort, node, root, run } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { once } from '../helpers/raw-client.js';
import { TerminalPicture } from '../helpers/terminal-picture.js';

/** `npm run pictures`: what a person sees, as pictures for README. Each is of the real thing, in a terminal of 80 or 120 columns. */
const IMAGES = path.join(root, 'docs/images');
const ROUTE = `exports.user = (id) => {
  const names = { 1: 'Ada', 2: 'Grace' };
  return { id, name: names[id] };
};
`;
const APP = `const { createServer } = require('node:http');
const { user } = require('./routes/user');

createServer((request, response) => {
  response.end(JSON.stringify(user(request.url.slice(1))));
}).listen(process.env.PORT);
`;

const dir = path.join(mkdtempSync(path.join(os.tmpdir(), 'hp-')), 'shop');
const home = mkdtempSync(path.join(os.tmpdir(), 'hp-'));
const write = (file: string, text: string): void => {
  mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
  writeFileSync(path.join(dir, file), text);
};
write('package.json', '{ "name": "shop" }');
write('server.js', APP);
write('routes/user.js', ROUTE);

const env = { ...process.env, HOME: home, TMPDIR: home, XDG_RUNTIME_DIR: home, NODE_ENV: '', NO_COLOR: undefined, PORT: undefined };
const framework = `${node} ${bin}`;
const cleanUps: (() => unknown)[] = [
  () => { for (const one of [path.dirname(dir), home]) rmSync(one, { recursive: true, force: true }); },
];
const scope = { after: (fn: () => unknown) => cleanUps.unshift(fn) };
mkdirSync(IMAGES, { recursive: true });

try {
  const browser = await openBrowser(scope);
  const keep = (name: string, png: Buffer): void => {
    writeFileSync(path.join(IMAGES, `${name}.png`), png);
    console.log(`${name}.png  ${Math.round(png.length / 1_024)} KB`);
  };

  const dev = await freePort();
  const terminal = new TerminalPicture(`exec ${framework} dev --port ${dev}`, { columns: 80, cwd: dir, env }, 'framework dev');
  scope.after(() => terminal.process.kill('SIGKILL'));
  const shows = (what: RegExp) => eventually(async () => what.test(await terminal.text()), 15_000);
  await shows(/ready in/);
  await delay(1_500);
  write('routes/user.js', ROUTE.replace('Grace', 'Hedy'));
  await shows(/changed, \d+ ms/);
  await delay(700);
  write('routes/user.js', ROUTE.replace('names[id] }', 'names[id].trim( }'));
  await shows(/waiting for the next change/);
  const page = await browser.newPage({ viewport: { width: 900, height: 640 }, colorScheme: 'dark' });
  await page.goto(`http://127.0.0.1:${dev}/1`, { waitUntil: 'domcontentloaded' });
  keep('dev-page', await page.screenshot());
  await page.close();
  write('routes/user.js', ROUTE);
  await shows(/changed, \d+ ms[^]*waiting[^]*changed, \d+ ms/);
  keep('dev-80', await terminal.picture(browser));
  terminal.type('q\n');

  const port = await freePort();
  const flags = ['start', dir, '--daemon', '-w', '4', '--port', String(port)];
  const { code, stderr } = await run(flags, { env, cwd: dir });
  if (code !== 0) throw new Error(stderr);
  scope.after(() => run(['stop', dir], { env }));
  let loading = true;
  const load = (async () => {
    while (loading) await Promise.all([1, 2, 3, 4].map(() => once({ port }, 'GET', '/1').then(() => delay(5))));
  })();
  await run(['reload', dir], { env });
  await delay(5_000);
  for (const columns of [80, 120]) {
    const status = new TerminalPicture(`${framework} status`, { columns, cwd: dir, env }, 'framework status');
    await new Promise((resolve) => { status.process.once('close', resolve); });
    keep(`status-${columns}`, await status.picture(browser));
  }
  loading = false;
  await load;
} finally {
  for (const fn of cleanUps) await fn();
}
process.exit(0);
