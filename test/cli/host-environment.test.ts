import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sandbox } from './sandbox.js';

const EXPORT = "module.exports = (_, response) => response.end('BODY');\n";
const LISTENS = "require('node:http').createServer((_, response) => response.end('BODY')).listen(process.env.PORT, process.env.HOST);\n";

for (const [what, source] of [['an export', EXPORT], ['a server of its own', LISTENS]] as const) {
  test(`HOST of the environment is named where it is the cause of a listen that fails: ${what}`, async (t) => {
    const sandbox = new Sandbox(t);
    const dir = sandbox.app('app', { 'server.js': source });
    const env = { HOST: '203.0.113.9' };
    const { code, stdout, stderr } = await sandbox.run(['start', dir, '-p', '0', '-w', '1'], { env });
    assert.equal(code, 1);
    assert.match(stdout + stderr, /203\.0\.113\.9.* is no address of this machine .*; the environment says so: HOST=203\.0\.113\.9/);
    const asked = await sandbox.run(['start', dir, '-p', '0', '-w', '1', '--host', '203.0.113.8'], { env });
    assert.equal(asked.code, 1);
    assert.doesNotMatch(asked.stdout + asked.stderr, /environment says so/);
  });
}
