import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { differences, Environment } from '../../lib/config/environment.js';

const dir = mkdtempSync(path.join(os.tmpdir(), 'he-'));
const file = path.join(dir, '.env');
const names = ['HE_GIVEN', 'HE_FILE', 'HE_BOTH', 'HE_OWN', 'HE_NEW'];

test.after(() => rmSync(dir, { recursive: true, force: true }));
test.afterEach(() => { for (const name of names) delete process.env[name]; });

test('what was given wins over a file; what others set in process.env is nobody\'s change', () => {
  Object.assign(process.env, { HE_GIVEN: 'given', HE_BOTH: 'given' });
  writeFileSync(file, 'HE_FILE=1\nHE_BOTH=file\n');
  const environment = new Environment([file]);
  process.env.HE_OWN = 'set by a configuration that is code';
  assert.deepEqual([process.env.HE_FILE, process.env.HE_BOTH], ['1', 'given']);
  assert.deepEqual([environment.given.HE_FILE, environment.given.HE_BOTH], [undefined, 'given']);
  assert.deepEqual(environment.next().change, {});
  writeFileSync(file, 'HE_NEW=2\nHE_BOTH=other\n');
  assert.deepEqual(environment.next().change, { HE_FILE: undefined, HE_NEW: '2' });
  assert.deepEqual(environment.next().change, { HE_FILE: undefined, HE_NEW: '2' }, 'until it is kept');
  environment.next().keep();
  assert.deepEqual(environment.next().change, {});
});

test('another environment takes the place of what was given; a shell\'s own variables stay', () => {
  Object.assign(process.env, { HE_GIVEN: 'given' });
  const { SHLVL, PWD } = process.env;
  const environment = new Environment();
  const { change, keep } = environment.next({ ...process.env, HE_GIVEN: undefined, HE_NEW: 'new', PWD: '/elsewhere', SHLVL: '99' });
  assert.deepEqual(change, { HE_GIVEN: undefined, HE_NEW: 'new' });
  keep();
  assert.deepEqual([environment.given.HE_NEW, environment.given.PWD, environment.given.SHLVL], ['new', PWD, SHLVL]);
});

test('files of Node\'s flags, each way to write them, and one that may be missing', () => {
  writeFileSync(file, 'HE_FILE=1\n');
  const second = path.join(dir, 'second');
  writeFileSync(second, 'HE_FILE=2\nHE_BOTH=2\n');
  const flags = ['--max-old-space-size=100', `--env-file=${file}`, '--env-file', second, `--env-file-if-exists=${dir}/absent`];
  void new Environment([], undefined, flags);
  assert.deepEqual([process.env.HE_FILE, process.env.HE_BOTH], ['2', '2'], 'the later one wins');
  assert.throws(() => new Environment([`${dir}/absent`]), { code: 'ERR_CLUSTER_CONFIG', message: /--env-file: cannot read .*absent/ });
});

test('differences are told by name, in which way, npm\'s as one, and never with a value', () => {
  assert.equal(differences({ A: '1', PWD: '/a' }, { A: '1', PWD: '/b', SHLVL: '2' }), null);
  const before = { A: 'x', B: 'x', npm_config_cache: 'x', npm_command: 'x' };
  assert.equal(differences(before, { A: 'secret', 'C\n[31m': 'secret' }), 'changed A; new "C\\n[31m"; gone B, 2 of npm\'s (npm_*)');
});

test('NODE_ENV: what was given, then what a file says, then what the mode has', () => {
  const { NODE_ENV } = process.env;
  try {
    process.env.NODE_ENV = '';
    writeFileSync(file, 'NODE_ENV=staging\n');
    const environment = new Environment([file], 'start');
    assert.equal(process.env.NODE_ENV, 'staging');
    assert.deepEqual(environment.next({ NODE_ENV: 'test' }).change.NODE_ENV, 'test');
    writeFileSync(file, '');
    assert.deepEqual(environment.next().change, { NODE_ENV: 'production' });
    delete process.env.NODE_ENV;
    void new Environment([], 'dev');
    assert.equal(process.env.NODE_ENV, 'development');
  } finally {
    if (NODE_ENV === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = NODE_ENV;
  }
});

test('a file that an editor has marked as UTF-8 says what it says; one in UTF-16 is refused', () => {
  writeFileSync(file, '\uFEFFHE_FILE=1\nHE_NEW=2\n');
  void new Environment([file]);
  assert.deepEqual([process.env.HE_FILE, process.env.HE_NEW], ['1', '2']);
  writeFileSync(file, Buffer.from('\uFEFFHE_FILE=1\n', 'utf16le'));
  assert.throws(() => new Environment([file]), /^ClusterError: --env-file: .*\.env: it is UTF-16/);
});
