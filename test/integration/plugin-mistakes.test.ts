import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fixture, run, type Scope } from '../helpers/cluster.js';

function plugin(t: Scope, source: string): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'hp-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(path.join(dir, 'plugin.mjs'), source);
  return path.join(dir, 'plugin.mjs');
}

async function refused(t: Scope, plugins: object): Promise<string> {
  const config = path.join(mkdtempSync(path.join(os.tmpdir(), 'hp-')), 'cluster.json');
  t.after(() => rmSync(path.dirname(config), { recursive: true, force: true }));
  writeFileSync(config, JSON.stringify({ plugins }));
  const result = await run(['start', fixture('life'), '-p', '0', '--config', config]);
  assert.equal(result.code, 2, result.stdout + result.stderr);
  assert.doesNotMatch(result.stdout + result.stderr, /app_worker|^\s+at /m);
  return result.stderr;
}

test('an unknown plugin: what, where it was looked for, the nearest name', async (t) => {
  assert.match(await refused(t, { 'graceful-exot': true }), /"graceful-exot" is no built-in plugin.*did you mean "graceful-exit"\?/);
  assert.match(await refused(t, { './nowhere.js': true }), /no file of that name/);
});

test('a module that is no plugin', async (t) => {
  assert.match(await refused(t, { [plugin(t, 'export default 42;')]: true }), /exports no plugin: expected \{ name, apply \}/);
});

test('a plugin that cannot be loaded says why', async (t) => {
  assert.match(await refused(t, { [plugin(t, 'throw new Error("no licence");')]: true }), /could not be loaded.*no licence/);
});

test('wrong options of a built-in plugin: the path and what is allowed', async (t) => {
  assert.match(await refused(t, { 'graceful-exit': { timeout: 'soon' } }), /plugins\.graceful-exit\.timeout: /);
  assert.match(await refused(t, { 'graceful-exit': { timout: 5 } }), /plugins\.graceful-exit\.timout: unknown option, did you mean "timeout"\?/);
});

test('an engine that does not fit', async (t) => {
  assert.match(await refused(t, { [plugin(t, 'export default { name: "x", engines: { node: ">=99" }, apply() {} };')]: true }), /needs node >=99, this is \d+/);
});

test('options for a child that cannot be sent are refused where they are given', async (t) => {
  const source = 'export default { name: "x", apply(b) { b.inject("worker", "file:///x.mjs", { fn() {} }); } };';
  assert.match(await refused(t, { [plugin(t, source)]: true }), /plugin "x", inject\("worker", file:\/\/\/x\.mjs\): the options cannot be sent/);
});
