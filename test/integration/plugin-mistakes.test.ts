import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { startCluster } from '../../lib/index.js';
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
  assert.doesNotMatch(result.stdout + result.stderr, /app_worker|dist\/core/m);
  return result.stderr;
}

test('an unknown plugin: what, where it was looked for, the nearest name', async (t) => {
  assert.match(await refused(t, { 'graceful-exot': true }), /"graceful-exot" is no built-in plugin.*did you mean "graceful-exit"\?/);
  assert.match(await refused(t, { './nowhere.js': true }), /plugins\["\.\/nowhere\.js"\]: no module at \/.*\/nowhere\.js/);
});

test('a module that is no plugin', async (t) => {
  assert.match(await refused(t, { [plugin(t, 'export default 42;')]: true }), /exports no plugin: expected \{ name, apply \}/);
});

test('a plugin that cannot be loaded says why', async (t) => {
  assert.match(await refused(t, { [plugin(t, 'throw new Error("no licence");')]: true }), /could not be loaded.*no licence/);
});

test('a plugin that does not parse, imports what does not, or does so in apply: its name, file, line and code', async (t) => {
  const broken = 'export const x = 1;\nconst a = ;\n';
  const marked = String.raw`\S+broken\.mjs:2\nconst a = ;\n {10}\^\n$`;
  for (const [source, begin] of [
    [broken, 'could not be loaded'],
    ['import "./broken.mjs";', 'could not be loaded'],
    ['export default { name: "mine", apply: () => import("./broken.mjs") };', 'plugin "mine" failed in apply'],
  ] as const) {
    const file = plugin(t, source);
    writeFileSync(path.join(path.dirname(file), 'broken.mjs'), broken);
    const told = (await refused(t, { [file]: true })).replaceAll(file, file.replace('plugin.mjs', 'broken.mjs'));
    assert.match(told, new RegExp(`${begin}: /\\S+/broken\\.mjs:2: Unexpected token ';'\n${marked}`));
  }
});

test('a plugin of CommonJS and of TypeScript that does not parse is shown alike', async (t) => {
  const dir = path.dirname(plugin(t, ''));
  for (const [name, message] of [['broken.cjs', /Unexpected token ';'/], ['broken.ts', /.+/]] as const) {
    const file = path.join(dir, name);
    writeFileSync(file, 'exports.x = 1;\nexports.y = {;\n');
    const told = await refused(t, { [file]: true });
    assert.ok(told.includes(`could not be loaded: ${file}:2: `), told);
    assert.match(told, new RegExp(`:2: ${message.source}\n${file}:2\n(?:exports.x = 1;\n)?exports\\.y = \\{;\n {13}\\^\n`));
  }
});

test('wrong options of a built-in plugin: the path and what is allowed', async (t) => {
  assert.match(await refused(t, { 'graceful-exit': { timeout: 'soon' } }),
    /^.*cluster\.json: plugins\.graceful-exit\.timeout: expected whole milliseconds from 0 up, found "soon"\n$/);
  assert.match(await refused(t, { 'graceful-exit': { timout: 5 } }),
    /plugins\.graceful-exit\.timout: unknown option, did you mean "timeout"\?/);
});

test('an engine that does not fit', async (t) => {
  assert.match(await refused(t, { [plugin(t, 'export default { name: "x", engines: { node: ">=99" }, apply() {} };')]: true }),
    /needs node >=99, this is \d+/);
});

test('options for a child that cannot be sent are refused where they are given', async (t) => {
  const source = 'export default { name: "x", apply(b) { b.inject("worker", "file:///x.mjs", { fn() {} }); } };';
  assert.match(await refused(t, { [plugin(t, source)]: true }),
    /plugin "x", inject\("worker", file:\/\/\/x\.mjs\): the options cannot be sent/);
});

test('the nearest word for an option that is one of several; no option where there are none', async (t) => {
  assert.match(await refused(t, { 'sticky-session': { mode: 'requst' } }),
    /plugins\.sticky-session\.mode: expected "connection" or "request", found "requst", did you mean "request"\?\n$/);
  assert.match(await refused(t, { 'sticky-session': { mode: 'request' } }),
    /cluster\.json: plugins\.sticky-session\.key: expected a key with mode "request"/);
  assert.match(await refused(t, { systemd: { notify: true } }), /plugins\.systemd\.notify: unknown option; there are none\n$/);
});

test('a plugin that throws in apply, or cannot be made: its name, and its own line alone', async (t) => {
  const thrown = plugin(t, 'export default { name: "x", async apply() { throw new Error("no licence"); } };');
  assert.match(await refused(t, { [thrown]: true }), /^plugin "x" failed in apply: no licence\n +at \S+ \(file:.*plugin\.mjs:1:\d+\)\n$/);
  const made = plugin(t, 'export default class { name = "x"; constructor() { throw new Error("no licence"); } apply() {} };');
  assert.match(await refused(t, { [made]: true }), /plugins\[.*\]: cannot be made: no licence\n/);
});

test('a hook that does not exist: the nearest one; asking whether there is one harms nothing', async (t) => {
  const source = `export default { name: "x", apply({ hooks }) {
    hooks.fromTheFuture?.tap("x", () => {}); hooks.workerReedy.tap("x", () => {});
  } };`;
  assert.match(await refused(t, { [plugin(t, source)]: true }),
    /^plugin "x" failed in apply: there is no hook "workerReedy", did you mean "workerReady"\?\n/);
});

test('a part that is not there, or for nobody', async (t) => {
  const inject = (call: string) => plugin(t, `export default { name: "x", apply(b) { b.inject(${call}); } };`);
  assert.match(await refused(t, { [inject('"worker", new URL("./gone.js", import.meta.url)')]: true }),
    /^plugin "x", inject\("worker", file:.*gone\.js\): there is no file \S+gone\.js; expected a module URL/);
  assert.match(await refused(t, { [inject('"wroker", import.meta.url')]: true }),
    /inject\("wroker", .*\): expected "worker" or "agent" as the role\n$/);
});

test('a plugin module that never finishes loading', async (t) => {
  assert.match(await refused(t, { [plugin(t, 'await new Promise(() => {});')]: true }), /could not be loaded: it never finishes loading/);
});

test('an apply that never ends is given up', async () => {
  const plugins = [{ name: 'waits', apply: () => new Promise<void>(() => {}) }];
  // The built-in ones have as long, on a machine that is busy with other tests as well.
  await assert.rejects(startCluster({ target: fixture('life'), port: 0, plugins }, { hookTimeout: 2_000 }),
    /plugin "waits" did not finish apply within 2000 ms/);
});

test('a part that throws in a worker: the plugin is named, the start fails with 1', async (t) => {
  const mine = plugin(t, 'export default { name: "mine", apply(b) { b.inject("worker", new URL("./part.mjs", import.meta.url)); } };');
  for (const [source, says] of [
    ['export default () => { throw new TypeError("no key"); };', /worker#0 \(pid \d+\) failed: plugin "mine": no key$/m],
    ['export const nothing = 1;', /failed: plugin "mine": the part file:\S+part\.mjs has no function as its default export$/m],
  ] as const) {
    writeFileSync(path.join(path.dirname(mine), 'part.mjs'), source);
    const config = path.join(path.dirname(mine), 'cluster.json');
    writeFileSync(config, JSON.stringify({ plugins: { [mine]: true } }));
    const result = await run(['start', fixture('life'), '-p', '0', '-w', '1', '--config', config]);
    assert.equal(result.code, 1);
    assert.match(result.stdout + result.stderr, says);
  }
});

test('a part that does not parse: plugin, file and line; one that does not finish: plugin and file', async (t) => {
  const mine = plugin(t, 'export default { name: "mine", apply(b, { part }) { b.inject("worker", new URL(part, import.meta.url)); } };');
  const dir = path.dirname(mine);
  for (const [part, source, says] of [
    ['./part.mjs', 'export default () => {\n  const a = ;\n};', /failed: plugin "mine": \S+part\.mjs:2: Unexpected token ';'$/m],
    ['./part.cjs', 'module.exports = () => {\n  const a = ;\n};', /failed: plugin "mine": \S+part\.cjs:2: Unexpected token ';'$/m],
    ['./outer.mjs', 'import "./part.mjs";', /failed: plugin "mine": \S+part\.mjs:2: Unexpected token ';'$/m],
    ['./hang.mjs', 'export default () => new Promise(() => {});',
      /\(startTimeout\): the part \S+hang\.mjs of plugin "mine" does not finish \(\d\.\d s\)$/m],
    ['./loop.mjs', 'for (;;);', /\(startTimeout\): the part \S+loop\.mjs of plugin "mine" does not finish \(\d\.\d s\)$/m],
  ] as const) {
    writeFileSync(path.join(dir, part), source);
    writeFileSync(path.join(dir, 'cluster.json'), JSON.stringify({ plugins: { [mine]: { part } }, startTimeout: 1_500 }));
    const { code, stderr } = await run(['start', fixture('life'), '-p', '0', '-w', '1', '--config', path.join(dir, 'cluster.json')]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, says);
    const shown = /part\.[cm]js:2\n {2}const a = ;\n {12}\^\n\nSyntaxError: plugin "mine": /;
    if (stderr.includes('Unexpected token')) assert.match(stderr, shown);
  }
});

test('two plugins of one name, wherever they come from: both places, exit 2', async (t) => {
  const source = 'export default { name: "same", apply() {} };';
  const [one, other] = [plugin(t, source), plugin(t, source)];
  const told = await refused(t, { [one]: true, [other]: true });
  assert.match(told, /^.*plugins\["\S+"\]: a second plugin with the name "same", which .*plugins\["\S+"\] has: one of them needs .*\n$/);
  assert.ok(told.includes(one) && told.includes(other));
  assert.match(await refused(t, { [plugin(t, 'export default { name: "health-check", apply() {} };')]: true }),
    /^.*: a plugin of one's own cannot have the name of the built-in plugin "health-check"\n$/);
  assert.match(await refused(t, { [plugin(t, 'export default { name: "x", aplly() {}, apply() {} };')]: true }),
    /^.*: plugin "x" has an unknown key "aplly", did you mean "apply"\?\n$/);
  const nested = plugin(t, 'export default { name: "x", apply(b) { return b.applyPlugin({ name: "x", apply() {} }); } };');
  assert.match(await refused(t, { [nested]: true }), /^applyPlugin: x: a second plugin with the name "x", which .*plugins\[.* has/);
});

test('a route that is malformed, given twice or somebody else\'s: both names, exit 2', async (t) => {
  const route = (given: string, name = 'x') => plugin(t, `export default { name: "${name}", apply(master) { ${given} } };`);
  const mine = 'master.route({ method: "GET", path: "/mine", open: true, handler: () => ({ body: "" }) });';
  assert.match(await refused(t, { [route(mine)]: true, [route(mine, 'y')]: true }),
    /^plugin "y", route: GET \/mine belongs to plugin "x" already\n$/);
  assert.match(await refused(t, { [route(mine + mine)]: true }), /^plugin "x", route: GET \/mine is given twice\n$/);
  const says = {
    '{ method: "get", path: "/a", open: true, handler() {} }':
      'expected one of "GET", "POST", "PUT", "PATCH", "DELETE" as the method, found "get"',
    '{ method: "GET", path: "a", open: true, handler() {} }': 'expected a path such as "/mine", found "a"',
    '{ method: "GET", path: "/a?b", open: true, handler() {} }': 'expected a path such as "/mine", found "/a?b"',
    '{ method: "GET", path: "/a", handler() {} }': '/a: expected true or false as `open`, found nothing',
    '{ method: "GET", path: "/a", open: true }': '/a: expected a function as the handler, found nothing',
    '{ method: "POST", path: "/stop", open: false, handler() {} }': 'POST /stop belongs to the control socket already',
    '{ method: "GET", path: "/launch", open: true, handler() {} }': 'GET /launch belongs to the control socket already',
    '{ method: "GET", path: "/status", open: false, handler() {} }':
      'GET /status belongs to the control socket already; to add to what it tells, tap collectStatus',
    '{ method: "PUT", path: "/status", open: false, handler() {} }':
      'PUT /status belongs to the control socket already; to add to what it tells, tap collectStatus',
    '42': 'expected { method, path, open, handler }, found 42',
  };
  for (const [given, line] of Object.entries(says)) {
    assert.equal(await refused(t, { [route(`master.route(${given});`)]: true }), `plugin "x", route: ${line}\n`);
  }
});

test('a second handler for one type of messages, in the master or in a part: both names, exit 2', async (t) => {
  const inMaster = (name: string, type: string) => plugin(t, `export default { name: "${name}", apply({ hooks }) {
    hooks.workerForked.tap("x", (child) => child.channel.on("${type}", () => {}));
  } };`);
  const start = async (plugins: object) => {
    const config = path.join(path.dirname(plugin(t, '')), 'cluster.json');
    writeFileSync(config, JSON.stringify({ plugins }));
    const { code, stdout, stderr } = await run(['start', fixture('life'), '-p', '0', '-w', '1', '--config', config]);
    assert.equal(code, 2, stdout + stderr);
    return stderr;
  };
  assert.match(await start({ [inMaster('a', 'a.noun')]: true, [inMaster('b', 'a.noun')]: true }),
    /^plugin "b" declares a second handler for messages "a\.noun", which plugin "a" handles already$/m);
  assert.match(await start({ [inMaster('a', 'child.ready')]: true }),
    /^plugin "a" declares a second handler for messages "child\.ready", which hatchery itself handles already$/m);
  const inPart = (name: string) => {
    const file = plugin(t, `export default { name: "${name}", apply(b) { b.inject("worker", new URL("./part.mjs", import.meta.url)); } };`);
    const part = 'export default async ({ channel }) => { await 0; channel.on("x.noun", () => {}); };';
    writeFileSync(path.join(path.dirname(file), 'part.mjs'), part);
    return file;
  };
  assert.match(await start({ [inPart('a')]: true, [inPart('b')]: true }),
    /^worker#0: plugin "b" declares a second handler for messages "x\.noun", which plugin "a" handles already$/m);
});
