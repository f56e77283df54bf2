import assert from 'node:assert/strict';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import { startDev, type Dev } from '../helpers/dev.js';

/** An app that does something when it starts, and answers with the time of that. */
const app = (first: string) => `const fs = require('node:fs');
const path = require('node:path');
const at = (name) => path.join(__dirname, name);
const started = Date.now();
${first}
require('node:http').createServer((request, response) => {
  if (request.method === 'POST') fs.writeFileSync(at('uploads/' + request.url.slice(1)), String(Math.random()));
  response.end('started ' + started);
}).listen(process.env.PORT);
`;

const withApp = (first: string, prepare: (dir: string) => void = () => {}) => ({
  edit: (dir: string) => {
    prepare(dir);
    writeFileSync(path.join(dir, 'app.js'), app(first));
  },
});

const reloads = ({ cluster }: Dev) => cluster.output.match(/reloaded in/g)?.length ?? 0;
const times = ({ cluster }: Dev, text: string) => cluster.output.split(text).length - 1;

/** It stands still: the same process answers now and after a while. */
async function assertQuiet(dev: Dev, ms = 1_500): Promise<void> {
  const before = await dev.answer(/started/);
  await delay(ms);
  assert.equal(await dev.get(), before, dev.cluster.output);
}

test('an app that writes the same at each start is not started again for it', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', withApp("fs.writeFileSync(at('schema.gql'), 'type Query { a: Int }\\n');"));
  await assertQuiet(dev);
  assert.equal(reloads(dev), 0, dev.cluster.output);
  dev.write('app.js', app('// another'));
  await dev.cluster.waitFor(/reloaded in/);
});

test('an app that writes something else at each start is named once, and does not loop', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', withApp("fs.promises.writeFile(at('openapi.json'), JSON.stringify({ started }));"));
  await dev.answer(/started/);
  await delay(500);
  for (let n = 0; n < 4; n++) {
    const from = dev.mark();
    dev.write('app.js', `${app("fs.promises.writeFile(at('openapi.json'), JSON.stringify({ started }));")}// ${n}`);
    await dev.cluster.waitFor(/reloaded in/, 5_000, from);
    await delay(300);
  }
  await assertQuiet(dev);
  assert.equal(reloads(dev), 4, dev.cluster.output);
  assert.equal(times(dev, 'openapi.json is written by the app itself'), 1);
  assert.match(dev.cluster.output, /"plugins": \{ "dev-reload": \{ "ignore": \["openapi\.json"\] \} \}/);
});

test('a file that the app requires, and writes anew at each start, counts twice', { timeout: 20_000 }, async (t) => {
  const writes = "require('./manifest.json');\nfs.writeFileSync(at('manifest.json'), JSON.stringify({ started }));";
  const dev = await startDev(t, 'dev-app', withApp(writes, (dir) => writeFileSync(path.join(dir, 'manifest.json'), '{}')));
  await dev.cluster.waitFor(/manifest\.json is written by the app itself: it is left out from now on/);
  await assertQuiet(dev);
  assert.ok(reloads(dev) <= 3, dev.cluster.output);
});

test('what another program writes at each start, for the app, is left out after the third time', { timeout: 20_000 }, async (t) => {
  const writes = "require('node:child_process').execSync('date +%s%N > routes.yaml', { cwd: __dirname });";
  const dev = await startDev(t, 'dev-app', withApp(writes));
  await dev.answer(/started/);
  await delay(500);
  // Where the watcher sees what the first start wrote, the third time may have been before this, and this is one reload more.
  dev.write('app.js', app(writes).replace("'started ", "'again started "));
  await dev.answer(/again started/);
  await dev.cluster.waitFor(/routes\.yaml changes at each start: it is left out from now on/, 10_000);
  await assertQuiet(dev);
  assert.ok(reloads(dev) <= 4, dev.cluster.output);
});

test('a file that somebody rewrites all the time starves nobody', { timeout: 30_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', withApp(''));
  await dev.answer(/started/);
  let n = 0;
  // Not ended by `after`: the directory is gone by then.
  const timer = setInterval(() => dev.write('state.json', String(n++)), 150);
  try {
    await dev.cluster.waitFor(/state\.json changes (?:all the time|at each start): it is left out from now on/, 10_000);
    await assertQuiet(dev);
  } finally {
    clearInterval(timer);
  }
});

test('code that somebody rewrites all the time: it is answered, and reloads once a second at most', { timeout: 30_000 }, async (t) => {
  const slow = `const version = require('./version.js');
setTimeout(() => require('node:http').createServer((_, response) => response.end('version ' + version)).listen(process.env.PORT), 400);`;
  const dev = await startDev(t, 'dev-app', { edit: (dir) => writeFileSync(path.join(dir, 'app.js'), slow) });
  await dev.answer(/version/);
  let n = 2;
  const timer = setInterval(() => dev.write('version.js', `module.exports = ${n++};`), 150);
  t.after(() => clearInterval(timer));
  await dev.cluster.waitFor(/version\.js changes all the time: it reloads once a second at most/, 10_000);
  const before = reloads(dev);
  const answers = new Set<string>();
  for (const until = performance.now() + 4_000; performance.now() < until;) answers.add(await dev.get());
  assert.ok(answers.size >= 2, 'it is answered, by newer and newer code');
  assert.ok(reloads(dev) - before <= 5, dev.cluster.output);
  clearInterval(timer);
  await dev.answer(new RegExp(`version ${n - 1}$`));
});

test('uploads below the app reload nothing, and their folder is named once', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app', withApp('', (dir) => mkdirSync(path.join(dir, 'uploads'))));
  const before = await dev.answer(/started/);
  await delay(500);
  for (let n = 0; n < 6; n++) {
    for (const name of [`${n}.png`, `${n}.json`]) {
      await fetch(`http://127.0.0.1:${dev.cluster.port}/${name}`, { method: 'POST' }).then((response) => response.text());
    }
    await delay(60);
  }
  await delay(300);
  assert.equal(await dev.get(), before);
  assert.ok(times(dev, 'is written by the app itself') <= 2, dev.cluster.output);
  assert.match(dev.cluster.output, /"ignore": \["uploads"\]/);
});

test('a touch that changes nothing is no change', { timeout: 20_000 }, async (t) => {
  const dev = await startDev(t, 'dev-app');
  await dev.answer(/version 1/);
  await dev.cluster.waitFor(() => dev.cluster.processes().length > 2);
  await delay(1_000);
  const from = dev.mark();
  utimesSync(path.join(dev.dir, 'version.js'), new Date(), new Date());
  dev.write('routes/user.js', (await import('node:fs')).readFileSync(path.join(dev.dir, 'routes/user.js'), 'utf8'));
  await delay(500);
  assert.equal(dev.cluster.output.slice(from), '');
  dev.write('version.js', 'module.exports = 2;');
  await dev.answer(/version 2/);
});
