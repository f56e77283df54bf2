import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import test, { type TestContext } from 'node:test';

import { freePort, run } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { get } from '../helpers/http-get.js';
import { ownApp } from '../helpers/own-app.js';

/** Prints `words=` by console.log and by fs.writeSync, as pino does. */
const APP = `import fs from 'node:fs';
export default (request, response) => {
  const words = new URL(request.url, 'http://x').searchParams.get('words');
  console.log('printed ' + words);
  fs.writeSync(2, 'written ' + words + '\\n');
  response.end('ok');
};`;

/** A daemon of one process. */
async function daemon(t: TestContext, config: object) {
  const { dir } = ownApp(t, { 'package.json': { name: `alone-logs-${process.pid}` }, 'app.mjs': APP, '.clusterrc': config });
  const port = await freePort();
  const env = { ...process.env, XDG_RUNTIME_DIR: dir };
  t.after(() => run(['stop', dir, '--force'], { env }));
  const { code, stdout, stderr } = await run(['start', dir, '--workers', '0', '--daemon', '--port', String(port)], { env });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /\(pid \d+, in one process\)/);
  const pid = Number(/\(pid (\d+),/.exec(stdout)?.[1]);
  const logs = path.join(dir, 'logs');
  return { pid, logs, file: path.join(logs, `alone-logs-${process.pid}.log`), print: (words: string) => get(`http://127.0.0.1:${port}/?words=${words}`) };
}

for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) {
  test(`${signal} opens the log file anew, for what the app prints too`, async (t) => {
    const { pid, file, print } = await daemon(t, {});
    await print('before');
    renameSync(file, `${file}.1`);
    process.kill(pid, signal);
    await eventually(() => existsSync(file) && readFileSync(file, 'utf8').includes('log files are opened anew'));
    await print('after');
    assert.match(readFileSync(`${file}.1`, 'utf8'), /^printed before\nwritten before\n/m);
    assert.match(readFileSync(file, 'utf8'), /^printed after\nwritten after\n$/m);
  });
}

test('what the app prints is rotated, whole lines, none twice', async (t) => {
  const rotate = { size: 2_000, keep: 100 };
  const { logs, file, print } = await daemon(t, { log: { rotate } });
  for (let at = 0; at < 60; at++) await print(`${at}-${'x'.repeat(80)}`);
  const files = readdirSync(logs).map((name) => path.join(logs, name));
  assert.ok(files.length > 5, String(files));
  for (const one of files) assert.ok(statSync(one).size <= 2_000, `${one}: ${statSync(one).size}`);
  const all = files.map((one) => readFileSync(one, 'utf8')).join('').split('\n');
  for (const how of ['printed', 'written']) {
    const numbers = all.filter((line) => line.startsWith(`${how} `)).map((line) => Number.parseInt(line.slice(8), 10));
    assert.deepEqual(numbers.sort((a, b) => a - b), Array.from({ length: 60 }, (_, at) => at));
  }
  assert.ok(existsSync(file));
});
