import assert from 'node:assert/strict';
import test from 'node:test';
import { directory, load, refusal, withConfig, type Files } from '../helpers/config-dir.js';

const says = (t: test.TestContext, files: Files) => refusal(load(directory(t, { 'app.js': '', ...files })));

/** Ten lines of YAML that are a thousand million values. */
const laughs = ['env:', '  a: &a [1,1,1,1,1,1,1,1,1,1]', ...'bcdefghi'.split('').map((name, index) =>
  `  ${name}: &${name} [${Array(10).fill(`*${'abcdefgh'[index]}`).join(',')}]`)].join('\n');

for (const [what, file, content, message] of [
  ['an anchor within itself', '.clusterrc.yaml', 'refork: &r\n  limit: 3\n  duration: *r\n',
    '.clusterrc.yaml: refork.duration: goes round in a circle: it holds itself'],
  ['one among the options of a plugin', '.clusterrc.yaml', 'plugins: &p\n  ./app.js: *p\n',
    '.clusterrc.yaml: plugins["./app.js"]: goes round in a circle: it holds itself'],
  ['anchors that multiply', '.clusterrc.yaml', laughs, '.clusterrc.yaml: expected at most 100000 values, found more'],
  ['a getter that throws', 'cluster.config.mjs', 'export default { log: { get level() { throw new Error("no level\\nat all"); } } }',
    'cluster.config.mjs: log.level: cannot be read: no level'],
  ['a getter of a plugin', 'cluster.config.mjs', 'export default { plugins: { x: { name: "x", get apply() { throw new Error("no"); } } } }',
    'cluster.config.mjs: plugins.x: cannot be read: no'],
  ['a name that throws', 'cluster.config.mjs', 'export default { plugins: [{ get name() { throw new Error("no"); }, apply() {} }] }',
    'cluster.config.mjs: plugins[0]: a plugin cannot be made: no'],
  ['a proxy that throws', 'cluster.config.mjs', 'export default new Proxy({}, { ownKeys() { throw new Error("no keys"); } })',
    'cluster.config.mjs: cannot be read: no keys'],
  ['a NUL', '.clusterrc.json', { title: 'a\0b' }, '.clusterrc.json: title: expected a text without NUL'],
  ['a NUL in a list', '.clusterrc.json', { execArgv: ['--a', 'b\0'] }, '.clusterrc.json: execArgv[1]: expected a text without NUL'],
  ['a NUL in a key', '.clusterrc.json', { env: { 'A\0': 'b' } }, '.clusterrc.json: env: expected keys without NUL'],
] as const) {
  test(`${what} is one line with its place`, async (t) => assert.equal(await says(t, { [file]: content }), message));
}

test('names that are too long', async (t) => {
  assert.match(await says(t, { '.clusterrc.json': { title: 'x'.repeat(256) } }),
    /title: expected a text of at most 255 characters, found "x{56}/);
  assert.match(await says(t, { '.clusterrc.json': { path: `/tmp/${'x'.repeat(200)}` } }),
    /path: expected at most \d+ bytes, .* found 205 in/);
  const app = 'x'.repeat(5_000);
  assert.match(await refusal(load(withConfig(t, { app })), 'ERR_CLUSTER_APP_NOT_FOUND'), /^\.clusterrc: app: no such file: /);
  await load(withConfig(t, { title: 'x'.repeat(255) }));
});

test('options of a caller are looked at as a file is', async (t) => {
  const inline: Record<string, unknown> = { env: {} };
  inline.refork = inline;
  assert.equal(await refusal(load(withConfig(t, {}), { inline })), 'options: refork: goes round in a circle: it holds itself');
  assert.equal(await refusal(load(withConfig(t, {}), { inline: { title: '\0' } })), 'options: title: expected a text without NUL');
});

test('what is given twice is no circle, and instances of classes stay what they are', async (t) => {
  const shared = { a: [1] };
  const url = new URL('http://x');
  const plugins = { './mine.js': { shared, again: shared, url } };
  const { config } = await load(withConfig(t, {}, { 'mine.js': '' }), { inline: { plugins } });
  const [options] = Object.entries(config.plugins).filter(([key]) => key.endsWith('mine.js')).map(([, value]) => value);
  assert.deepEqual(options, { shared, again: shared, url });
  assert.equal((options as { url: URL }).url, url);
});

test('a promise of a configuration is waited for', async (t) => {
  const { config } = await load(directory(t, { 'app.js': '', 'cluster.config.mjs': 'export default Promise.resolve({ port: 81 })' }));
  assert.equal(config.port, 81);
});

for (const [what, code] of [
  ['exit(1)', 'process.exit(1); export default {};'],
  ['exit()', 'import "./check.mjs"; export default {};'],
  ['exit(0)', 'await new Promise((resolve) => setTimeout(resolve, 5)); process.exit(0); export default {};'],
  ['exit(3)', 'try { process.exit(3); } catch {}; export default {};'],
  ['abort()', 'process.abort(); export default {};'],
] as const) {
  test(`a configuration that ends the process is refused in its place: ${code}`, async (t) => {
    const { exit } = process;
    const text = await says(t, { 'cluster.config.mjs': code, 'check.mjs': 'process.exit();' });
    assert.equal(text, `cluster.config.mjs: Error: it calls process.${what} while it is loaded, which would end the master: `
      + 'it has to throw an error');
    assert.equal(process.exit, exit);
  });
}

test('what others end while a configuration is loaded ends', async (t) => {
  const { exit } = process;
  const codes: unknown[] = [];
  process.exit = ((code: unknown) => { codes.push(code); }) as typeof process.exit;
  t.after(() => { process.exit = exit; });
  setTimeout(() => process.exit(7), 5);
  await load(directory(t, { 'app.js': '', 'cluster.config.mjs': 'await new Promise((r) => setTimeout(r, 50)); export default {};' }));
  assert.deepEqual(codes, [7]);
});

test('the working directory is put back after a configuration has changed it', async (t) => {
  const before = process.cwd();
  await load(directory(t, { 'app.js': '', 'cluster.config.mjs': 'process.chdir("/"); export default {};' }));
  assert.equal(process.cwd(), before);
});
