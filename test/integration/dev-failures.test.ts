import assert from 'node:assert/strict';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { startDev, type Dev } from '../helpers/dev.js';

interface Case {
  name: string;
  /** Written over the app's files; null deletes. */
  edit: Record<string, string | null>;
  /** What the terminal tells. */
  terminal: RegExp[];
  /** What the page and the JSON show. */
  shown: RegExp[];
}

const GOOD: Readonly<Record<string, string>> = {
  'version.js': 'module.exports = 7;\n',
  'app.js': `const http = require('node:http');
const version = require('./version.js');

http.createServer((request, response) => {
  if (request.url === '/late') setTimeout(() => { throw new Error('too <late>'); }, 10);
  response.end('version ' + version);
}).listen(process.env.PORT);
`,
};

const cases: Case[] = [
  {
    name: 'a syntax error',
    edit: { 'version.js': 'module.exports = ;\n' },
    terminal: [/The app does not start: SyntaxError: Unexpected token ';'/, /at version\.js:1:18/, /> 1 \| module\.exports = ;\n.*\^/],
    shown: [/SyntaxError/, /version\.js:1:18/, /module\.exports = /],
  },
  {
    name: 'a missing import',
    edit: { 'version.js': '// none\nmodule.exports = require("./gone.js");\n' },
    terminal: [/Cannot find module '\.\/gone\.js'/, /at version\.js:2:18/],
    shown: [/MODULE_NOT_FOUND|Cannot find module/, /version\.js:2:18/],
  },
  {
    name: 'a missing import of an ES module',
    edit: {
      'app.js': null,
      'app.mjs': 'import http from "node:http";\nimport x from "./gone.mjs";\nhttp.createServer(x).listen(process.env.PORT);\n',
    },
    terminal: [/Cannot find module .*gone\.mjs/, /at app\.mjs:2:18/],
    shown: [/ERR_MODULE_NOT_FOUND|Cannot find module/, /app\.mjs:2:18/],
  },
  {
    name: 'a throw at import',
    edit: { 'version.js': 'throw new TypeError("no <b>version</b> & more");\n' },
    terminal: [/The app does not start: TypeError: no <b>version<\/b> & more \(worker#0\)/, /at version\.js:1:7/],
    shown: [/no (?:<|&lt;)b(?:>|&gt;)version/, /version\.js:1:7/],
  },
  {
    name: 'a start that rejects',
    edit: { 'app.js': 'module.exports = async () => {\n  throw new Error("no database");\n};\n' },
    terminal: [/The app does not start: no database/, /at app\.js:2:9/],
    shown: [/no database/, /app\.js:2:9/],
  },
  {
    name: 'exit 0',
    edit: { 'version.js': 'process.exit(0);\n' },
    terminal: [/The app does not start: .*ended.* code 0/],
    shown: [/code 0/],
  },
  {
    name: 'an app that listens nowhere',
    edit: { 'app.js': 'module.exports = 5;\n' },
    terminal: [/The app does not start: .*listens nowhere/],
    shown: [/listens nowhere/],
  },
  {
    name: 'a deleted entry file',
    edit: { 'app.js': null },
    terminal: [/There is nothing to run: nothing to run in .*looked for/],
    shown: [/There is nothing to run/],
  },
  {
    name: 'an endless loop at import',
    edit: { 'version.js': 'function spin() {\n  for (;;) {}\n}\nspin();\n' },
    terminal: [
      /The app is starting: not ready after 3 s: it is busy here, in a loop perhaps\n\s+at version\.js:2/, /a save starts it again/,
    ],
    shown: [/The app is starting/, /not ready after 3 s/, /at spin \(version\.js:2/],
  },
];

async function failsAndRecovers(t: TestContext, dev: Dev, { edit, terminal, shown }: Case, version: number): Promise<void> {
  const from = dev.mark();
  apply(dev, edit);
  for (const line of terminal) await dev.cluster.waitFor(line, 15_000, from);
  const html = await dev.answer(shown[0] as RegExp, { headers: { Accept: 'text/html' } });
  const json = await dev.answer(shown[0] as RegExp, { headers: { Accept: 'application/json' } });
  assert.match(html, /^<!doctype html>/);
  const { error } = JSON.parse(json) as { error: { title: string; message: string } };
  assert.ok(error.title && error.message);
  for (const one of shown) {
    assert.match(html, one);
    assert.match(json, one);
  }
  assert.doesNotMatch(html, /<b>version<\/b>/, 'what is shown is escaped');
  apply(dev, { 'app.mjs': null, ...GOOD, 'version.js': `module.exports = ${version};\n` });
  await dev.answer(new RegExp(`^version ${version}$`, 'm'));
  t.diagnostic(dev.cluster.output.slice(from).match(/reloaded in \d+ms/g)?.at(-1) ?? 'no reload');
}

function apply(dev: Dev, edit: Record<string, string | null>): void {
  for (const [file, text] of Object.entries(edit)) {
    if (text !== null) dev.write(file, text);
    else if (existsSync(path.join(dev.dir, file))) rmSync(path.join(dev.dir, file));
  }
}

test('each failure is shown in the terminal and as a page, and the next save recovers', { timeout: 60_000 }, async (t) => {
  const dev = await startDev(t);
  let version = 10;
  for (const one of cases) await t.test(one.name, (sub) => failsAndRecovers(sub, dev, one, ++version));

  await t.test('a port that is taken', async (sub) => {
    const other = createServer().listen(0);
    sub.after(() => other.close());
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    await failsAndRecovers(sub, dev, {
      name: '',
      edit: { 'app.js': `require('node:http').createServer().listen(${port});\n` },
      terminal: [new RegExp(`The app does not start: port ${port} is taken by another process .*EADDRINUSE`)],
      shown: [/EADDRINUSE/],
    }, ++version);
  });

  await t.test('a crash while it serves', async () => {
    const from = dev.mark();
    await dev.get('/late');
    await dev.cluster.waitFor(/The app crashed: too <late> \(worker#0\)\n\s+at app\.js:5:\d+/, 5_000, from);
    assert.match(await dev.answer(/The app crashed/, { headers: { Accept: 'text/html' } }), /too &lt;late&gt;/);
    dev.write('version.js', 'module.exports = 99;');
    await dev.answer(/version 99/);
  });

  await t.test('a request that a proxy sent on for another machine is told that, and no more', async () => {
    dev.write('version.js', 'throw new Error("secret words");\n');
    await dev.answer(/secret words/);
    const sentOn: Record<string, string>[] = [
      { 'X-Forwarded-For': '203.0.113.7' }, { Forwarded: 'for=203.0.113.7' }, { 'X-Forwarded-For': '127.0.0.1, 10.0.0.9' },
    ];
    for (const from of sentOn) {
      for (const Accept of ['text/html', 'application/json']) {
        const body = await dev.get('/', { Accept, ...from });
        assert.match(body, /The app does not start/);
        assert.doesNotMatch(body, /secret words|version\.js/);
      }
    }
    assert.match(await dev.get('/', { 'X-Forwarded-For': '127.0.0.1' }), /secret words/);
    dev.write('version.js', 'module.exports = 99;');
    await dev.answer(/version 99/);
  });

  await t.test('deleted with its directory, and put back', async () => {
    dev.write('app.js', "require('./deep/app.js');\n");
    await dev.answer(/Cannot find module/);
    mkdirSync(path.join(dev.dir, 'deep'));
    dev.write('deep/app.js', GOOD['app.js']!.replace('./version.js', '../version.js'));
    await dev.answer(/version 99/);
  });

  await dev.cluster.stop();
  await dev.cluster.assertNothingLeft();
});
