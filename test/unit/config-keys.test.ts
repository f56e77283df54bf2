import assert from 'node:assert/strict';
import test from 'node:test';
import { configSchema } from '../../lib/config/schema.js';
import { load, refusal, withConfig } from '../helpers/config-dir.js';

const fromOne = 'a whole number from 1 up';
const workers = 'a whole number from 1 to 1024, "auto" or { min, max, quiet }';
const standby = 'a whole number from 0 to 64, or { count, perSlot }';
const port = 'a whole number from 0 to 65535';
const texts = 'a list of texts';

/** Every key wrong: path, value, what is said after the path. */
const wrong: [key: string, value: unknown, says: string][] = [
  ['$schema', 1, 'expected a text, found 1'],
  ['extends', 5, 'expected a file path or a package name, or a list of them, found 5'],
  ['app', '', 'expected a file path, found ""'],
  ['agent', 1, 'expected a file path, true or false, found 1'],
  ['framework', true, 'expected a package name or a path, found true'],
  ['title', null, 'expected a text of at most 255 characters, found null'],
  ['workers', 'four', `expected ${workers}, found "four"`],
  ['workers', 0, `expected ${workers}, found 0`],
  ['workers', 1.5, `expected ${workers}, found 1.5`],
  ['workers', '2-8', `expected ${workers}, found "2-8"`],
  ['workers', [2, 8], `expected ${workers}, found [2,8]`],
  ['standby', 'one', `expected ${standby}, found "one"`],
  ['standby', -1, 'expected a whole number from 0 to 64, found -1'],
  ['standby.count', 0, 'expected a whole number from 1 to 64, found 0'],
  ['standby.perSlot', 'yes', 'expected true or false, found "yes"'],
  ['standby.perslot', true, 'unknown key, did you mean "perSlot"?'],
  ['port', '80', `expected ${port}, found "80"`],
  ['port', 65536, `expected ${port}, found 65536`],
  ['host', 127, 'expected a host name or an address, found 127'],
  ['path', {}, 'expected a file path, found {}'],
  ['mode', 660, 'expected an octal text such as "0660", found 660'],
  ['mode', '0999', 'expected an octal text such as "0660", found "0999"'],
  ['mode', 'rw-rw----', 'expected an octal text such as "0660", found "rw-rw----"'],
  ['mode', '01777', 'expected an octal text such as "0660", found "01777"'],
  ['group', [], 'expected the name or the number of a group, found []'],
  ['group', -1, 'expected the name or the number of a group, found -1'],
  ['https', true, 'expected an object, found true'],
  ['https.key', 1, 'expected a file path, found 1'],
  ['https.cert', 1, 'expected a file path, found 1'],
  ['https.ca', 1, 'expected a file path, found 1'],
  ['env', [], 'expected an object, found []'],
  ['env.A', null, 'expected a text, found null'],
  ['execArgv', '--inspect', `expected ${texts}, found "--inspect"`],
  ['require', {}, `expected ${texts}, found {}`],
  ['import', false, `expected ${texts}, found false`],
  ['args', '--tenant a', `expected ${texts}, found "--tenant a"`],
  ['startTimeout', '30s', 'expected whole milliseconds from 1 up, found "30s"'],
  ['startTimeout', 2 ** 31, 'expected whole milliseconds from 1 up, found 2147483648'],
  ['refork', 5, 'expected an object, found 5'],
  ['refork.limit', 0, `expected ${fromOne}, found 0`],
  ['refork.duration', -1, 'expected whole milliseconds from 1 up, found -1'],
  ['refork.minDelay', -1, 'expected whole milliseconds from 0 up, found -1'],
  ['refork.maxDelay', null, 'expected whole milliseconds from 0 up, found null'],
  ['refork.onLimit', 'degrad', 'expected one of "degrade", "exit", found "degrad", did you mean "degrade"?'],
  ['profiles', [], 'expected an object of profiles, found []'],
  ['profiles.production', 1, 'expected an object, found 1'],
  ['profiles.production.workers', -1, `expected ${workers}, found -1`],
  ['balance', 'random', 'expected one of "round-robin", "os", "reuse-port", "auto", found "random"'],
  ['memory', 'wach', 'expected one of "watch", "limit", "off", found "wach", did you mean "watch"?'],
  ['leaveChildren', 'yes', 'expected true or false, found "yes"'],
  ['server', 'no', 'expected true or false, found "no"'],
  ['reload', [], 'expected an object, found []'],
  ['reload.soak', '1', 'expected whole milliseconds from 0 up, found "1"'],
  ['reload.batch', 0, `expected ${fromOne}, found 0`],
  ['plugins', 'metrics', 'expected an object of plugin names, found "metrics"'],
  ['plugins.metrics', 'on', 'expected true, false, an object of options or a plugin, found "on"'],
  ['plugins.metrics', [], 'expected true, false, an object of options or a plugin, found []'],
  ['log', 'info', 'expected an object, found "info"'],
  ['log.level', 'inof', 'expected one of "debug", "info", "warn", "error", "silent", found "inof", did you mean "info"?'],
  ['log.format', 'xml', 'expected one of "text", "json", "short", found "xml"'],
  ['messages', 1, 'expected an object, found 1'],
  ['inspect', 'yes', `expected ${port}, true or false, found "yes"`],
  ['inspectBrk', -1, `expected ${port}, true or false, found -1`],
];

const nested = (path: string, value: unknown): object =>
  path.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as object;

for (const [key, value, says] of wrong) {
  test(`${key}: ${JSON.stringify(value)}`, async (t) => {
    assert.equal(await refusal(load(withConfig(t, nested(key, value)))), `.clusterrc: ${key}: ${says}`);
  });
}

test('no key is missing above', () => {
  const tried = new Set(wrong.map(([key]) => key.split('.')[0]));
  assert.deepEqual(Object.keys(configSchema.entries).filter((key) => !tried.has(key)), []);
});

test('a socket whose path is longer than the system takes', async (t) => {
  const says = await refusal(load(withConfig(t, { path: `/tmp/${'x'.repeat(150)}.sock` })));
  assert.match(says, /^\.clusterrc: path: expected at most 10[37] bytes, as the system allows, found 160 in \/tmp\/x+\.sock$/);
});
