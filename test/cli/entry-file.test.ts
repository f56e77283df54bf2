import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { get, Sandbox, SERVER } from './sandbox.js';

/** Files in folders of the sandbox. */
function write(sandbox: Sandbox, files: Record<string, string>): void {
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(path.join(sandbox.dir, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(sandbox.dir, file), content);
  }
}

test('an entry file: configuration, title and logs of its app, which finds it; and so does where the file lies', async (t) => {
  const sandbox = new Sandbox(t);
  write(sandbox, { 'shop/package.json': '{"name":"store"}', 'shop/.clusterrc': '{"workers": 2}', 'shop/dist/main.js': SERVER });
  const shop = path.join(sandbox.dir, 'shop');
  const { code, stdout, stderr } = await sandbox.run(['start', 'shop/dist/main.js', '-d', '-p', '0']);
  assert.equal(code, 0, stderr);
  assert.match(stdout, new RegExp(`^store started on \\S+ \\(pid \\d+, 2 workers\\), log: ${shop}/logs/store\\.log\\n$`));
  for (const args of [['shop'], ['shop/dist/main.js'], ['shop/dist'], ['--title', 'store']]) {
    assert.equal((await sandbox.status(args)).title, 'store', args.join(' '));
  }
  const log = await sandbox.run(['logs', 'shop']);
  assert.match(log.stdout, /store started on/);
  assert.equal((await sandbox.run(['reload'], { cwd: shop })).code, 0);
  assert.equal((await sandbox.run(['stop'], { cwd: shop })).code, 0);
  assert.match((await sandbox.run(['logs', 'shop'])).stdout, /exit with code:0/, 'what the last run has left');
});

test('a configuration that is not read is named', async (t) => {
  const sandbox = new Sandbox(t);
  write(sandbox, { 'shop/.clusterrc': '{}', 'shop/api/.clusterrc': '{"port": 0, "workers": 1}', 'shop/api/bin/www': SERVER });
  const { output } = await sandbox.daemon('shop/api/bin/www');
  assert.match(output, /^api started/);
  const { stdout } = await sandbox.run(['logs', 'shop/api']);
  assert.match(stdout, new RegExp(`${sandbox.dir}/shop/\\.clusterrc is not used: ${sandbox.dir}/shop/api/\\.clusterrc comes first`));
});

const CLI = `#!/usr/bin/env node
const [, script, directory] = process.argv;
require('node:http').createServer((_, response) => response.end(JSON.stringify([script, directory]))).listen(process.env.PORT);
`;

test('a bin of a package, by its link, and by the shell script that pnpm makes of one', async (t) => {
  const sandbox = new Sandbox(t);
  write(sandbox, {
    'site/package.json': '{"name":"site"}',
    'site/node_modules/tool/package.json': '{"name":"tool"}',
    'site/node_modules/tool/bin/tool': CLI,
    'site/node_modules/.bin/by-shell': `#!/bin/sh
basedir=$(dirname "$(echo "$0" | sed -e 's,\\\\,/,g')")
if [ -x "$basedir/node" ]; then
  exec "$basedir/node"  "$basedir/../tool/bin/tool" "$@"
else
  exec node  "$basedir/../tool/bin/tool" "$@"
fi
`,
    'site/node_modules/.bin/not-ours': '#!/usr/bin/env python3\nprint()\n',
  });
  const site = path.join(sandbox.dir, 'site');
  symlinkSync('../tool/bin/tool', path.join(site, 'node_modules/.bin/tool'));
  for (const [bin, script] of [['tool', '.bin/tool'], ['by-shell', 'tool/bin/tool']] as const) {
    const { port } = await sandbox.daemon(`site/node_modules/.bin/${bin}`, ['--', 'public']);
    assert.deepEqual(JSON.parse(await get(port)), [path.join(site, 'node_modules', script), 'public']);
    assert.deepEqual(readdirSync(path.join(site, 'logs')), ['site.log']);
    assert.equal((await sandbox.run(['stop', 'site'])).code, 0);
  }
  const { code, stderr } = await sandbox.run(['start', 'site/node_modules/.bin/not-ours']);
  assert.deepEqual([code, stderr], [2, 'site/node_modules/.bin/not-ours: a script for python3, which Node.js does not run\n']);
});

test('a bin of an ES module package, without an ending', async (t) => {
  const sandbox = new Sandbox(t);
  write(sandbox, { 'tool/package.json': '{"name":"tool","type":"module"}', 'tool/bin/tool': `#!/usr/bin/env node
import { createServer } from 'node:http';
createServer((_, response) => response.end('module')).listen(process.env.PORT);
` });
  const { port } = await sandbox.daemon('tool/bin/tool');
  assert.equal(await get(port), 'module');
});
