import assert from 'node:assert/strict';
import { cpSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import { startCluster, type ClusterOptions, type Scope } from '../helpers/cluster.js';
import { once } from '../helpers/raw-client.js';

/** Directories of files, of which one is the app. */
function tree(scope: Scope, files: Record<string, string>): { dir: string; write(file: string, text: string): void } {
  const dir = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'ht-loaded-')));
  scope.after(() => rmSync(dir, { recursive: true, force: true }));
  const write = (file: string, text: string) => {
    mkdirSync(path.dirname(path.join(dir, file)), { recursive: true });
    writeFileSync(path.join(dir, file), text);
  };
  for (const [file, text] of Object.entries(files)) write(file, text);
  return { dir, write };
}

async function dev(scope: Scope, target: string, options: ClusterOptions = {}) {
  const cluster = await startCluster(scope, target, { command: 'dev', title: false, ...options });
  return {
    cluster,
    async answers(what: string) {
      let body = '';
      for (const until = performance.now() + 5_000; performance.now() < until; await delay(20)) {
        body = await once({ port: cluster.port }, 'GET', '/').then((answer) => answer.body.toString(), String);
        if (body.includes(what)) return;
      }
      assert.fail(`no answer with ${what}: ${body}\n${cluster.output}`);
    },
  };
}

const serves = (what: string) => `require('node:http').createServer((_, response) => response.end(String(${what})))
  .listen(process.env.PORT);`;
const servesEsm = (what: string) => `import http from 'node:http';
http.createServer((_, response) => response.end(String(${what}))).listen(process.env.PORT);`;

test('a linked package of a workspace, required', { timeout: 20_000 }, async (t) => {
  const { dir, write } = tree(t, {
    'packages/lib/package.json': '{"name":"@acme/lib","main":"index.js"}',
    'packages/lib/index.js': "module.exports = require('./part.js');",
    'packages/lib/part.js': "module.exports = 'one';",
    'packages/api/package.json': '{"name":"api"}',
    'packages/api/server.js': serves("require('@acme/lib')"),
  });
  mkdirSync(path.join(dir, 'node_modules/@acme'), { recursive: true });
  symlinkSync('../../packages/lib', path.join(dir, 'node_modules/@acme/lib'));
  const { answers, cluster } = await dev(t, path.join(dir, 'packages/api'));
  await answers('one');
  // Loaded by the first request.
  await delay(1_500);
  write('packages/lib/part.js', "module.exports = 'two';");
  await answers('two');
  await delay(200);
  write('packages/lib/index.js', "module.exports = require('./missing.js');");
  await cluster.waitFor(/changed: .*packages\/lib\/index\.js/);
});

test('a linked package of ES modules: a change, what does not parse, what is missing', { timeout: 30_000 }, async (t) => {
  const { dir, write } = tree(t, {
    'packages/lib/package.json': '{"name":"@acme/lib","type":"module","exports":"./src/index.js"}',
    'packages/lib/src/index.js': "export { word } from './part.js';",
    'packages/lib/src/part.js': "export const word = 'one';",
    'packages/api/package.json': '{"name":"api","type":"module"}',
    'packages/api/server.js': `import { word } from '@acme/lib';\n${servesEsm('word')}`,
  });
  mkdirSync(path.join(dir, 'node_modules/@acme'), { recursive: true });
  symlinkSync('../../packages/lib', path.join(dir, 'node_modules/@acme/lib'));
  const { answers, cluster } = await dev(t, path.join(dir, 'packages/api'));
  await answers('one');
  await delay(600);
  write('packages/lib/src/part.js', "export const word = 'two';");
  await answers('two');
  write('packages/lib/src/part.js', 'export const word = ;');
  await cluster.waitFor(/The app does not start/);
  write('packages/lib/src/part.js', "export const word = 'three';");
  await answers('three');
  await delay(600);
  write('packages/lib/src/index.js', "export { word } from './other.js';");
  await cluster.waitFor(/Cannot find module/);
  await delay(200);
  write('packages/lib/src/other.js', "export const word = 'four';");
  await answers('four');
});

test('JSON that was required or imported from beside the app, also after a failure', { timeout: 20_000 }, async (t) => {
  const { dir, write } = tree(t, {
    'shared/words.json': '{"word":"one"}',
    'app/package.json': '{"name":"app","type":"module"}',
    'app/server.js': `import { createRequire } from 'node:module';
const { word } = createRequire(import.meta.url)('../shared/words.json');\n${servesEsm('word')}`,
  });
  const { answers } = await dev(t, path.join(dir, 'app'));
  await answers('one');
  await delay(300);
  write('shared/words.json', '{"word":');
  await answers('does not start');
  write('shared/words.json', '{"word":"two"}');
  await answers('two');
});

test('an entry file in bin: what it has loaded from elsewhere', { timeout: 20_000 }, async (t) => {
  const { dir, write } = tree(t, {
    'package.json': '{"name":"shop"}',
    'bin/www': `#!/usr/bin/env node\n${serves("require('../app')")}\nrequire('../app');`,
    'app.js': "module.exports = require('./routes/index.js') + ' app';",
    'routes/index.js': "module.exports = 'one';",
  });
  const { answers } = await dev(t, path.join(dir, 'bin/www'));
  await answers('one app');
  await delay(300);
  write('routes/index.js', "module.exports = 'two';");
  await answers('two app');
  write('app.js', "module.exports = require('./routes/index.js') + ' mended';");
  await answers('two mended');
  write('bin/www', serves("'three'"));
  await answers('three');
});

test('folders of the source named logs, run and coverage; at the top only what was loaded of them', { timeout: 20_000 }, async (t) => {
  const { dir, write } = tree(t, {
    'package.json': '{"name":"shop"}',
    'server.js': `const words = [require('./routes/logs/index.js'), require('./run/job.js')];\n${serves("words.join(' ')")}`,
    'routes/logs/index.js': "module.exports = 'one';",
    'run/job.js': "module.exports = 'one';",
  });
  const { answers, cluster } = await dev(t, dir);
  await answers('one one');
  await delay(300);
  write('routes/logs/index.js', "module.exports = 'two';");
  await answers('two one');
  await delay(300);
  write('run/job.js', "module.exports = 'two';");
  await answers('two two');
  await delay(300);
  const from = cluster.output.length;
  write('run/state.json', '{}');
  await delay(500);
  assert.equal(cluster.output.slice(from), '');
});

test('the file that --env-file names, and what is required before the app, are read afresh', { timeout: 20_000 }, async (t) => {
  const { dir, write } = tree(t, {
    'etc/dev.env': 'WORD=one',
    'etc/before.js': "globalThis.before = 'one';",
    'app/package.json': '{"name":"app"}',
    'app/.clusterrc': '{"execArgv":["--env-file=../etc/dev.env"],"require":["../etc/before.js"]}',
    'app/server.js': serves("process.env.WORD + ' ' + before"),
  });
  const { answers, cluster } = await dev(t, path.join(dir, 'app'), { cwd: path.join(dir, 'app') });
  await answers('one one');
  await cluster.waitFor(() => cluster.processes().length > 2);
  await delay(500);
  write('etc/dev.env', 'WORD=two');
  await answers('two one');
  await delay(500);
  write('etc/before.js', "globalThis.before = 'two';");
  await answers('two two');
});

test('the file of our own --env-file: a save is answered with what it says, though a process waits', { timeout: 20_000 }, async (t) => {
  const { dir, write } = tree(t, {
    'etc/dev.env': 'WORD=one',
    'app/package.json': '{"name":"app"}',
    'app/server.js': serves('process.env.WORD'),
  });
  const { answers, cluster } = await dev(t, path.join(dir, 'app'), { flags: ['--env-file', path.join(dir, 'etc/dev.env')] });
  await answers('one');
  for (const word of ['two', 'three']) {
    await cluster.waitFor(() => cluster.processes().length > 2);
    await delay(300);
    write('etc/dev.env', `WORD=${word}`);
    await answers(word);
  }
});

test('the folder of a linked package, built anew again and again: each build is answered', { timeout: 30_000 }, async (t) => {
  const { dir, write } = tree(t, {
    'lib/package.json': '{"name":"lib","main":"dist/index.js"}',
    'lib/dist/index.js': "module.exports = 'one';",
    'app/package.json': '{"name":"app"}',
    'app/server.js': `const word = require('lib');\n${serves('word')}`,
  });
  mkdirSync(path.join(dir, 'app/node_modules'), { recursive: true });
  symlinkSync('../../lib', path.join(dir, 'app/node_modules/lib'));
  const { answers, cluster } = await dev(t, path.join(dir, 'app'));
  await answers('one');
  await delay(1_000);
  const build = (word: string) => write('lib/dist/index.js', `module.exports = '${word}';`);
  const clean = () => rmSync(path.join(dir, 'lib/dist'), { recursive: true });
  clean();
  build('two');
  await answers('two');
  await delay(600);
  build('three');
  await answers('three');
  clean();
  await cluster.waitFor(/The app does not start/);
  await delay(700);
  build('four');
  await answers('four');
  await delay(600);
  build('five');
  await answers('five');
  renameSync(path.join(dir, 'lib'), path.join(dir, 'before'));
  cpSync(path.join(dir, 'before'), path.join(dir, 'lib'), { recursive: true });
  build('six');
  await answers('six');
  await delay(600);
  build('seven');
  await answers('seven');
});
