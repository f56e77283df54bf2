import assert from 'node:assert/strict';
import test from 'node:test';
import { revalidate } from '../../lib/config/resolve-config.js';
import { load, refusal, withConfig } from '../helpers/config-dir.js';

test('a resolved configuration stays what it is', async (t) => {
  const loaded = await load(withConfig(t, { env: { A: 1 }, plugins: { metrics: { port: 1 } }, path: './s.sock' }));
  assert.deepEqual(revalidate(structuredClone(loaded.config), loaded), loaded.config);
  assert.deepEqual(Object.values(loaded.provenance).filter(({ from }) => from === 'hook'), []);
});

test('what a tap changed is noted', async (t) => {
  const loaded = await load(withConfig(t, { port: 1 }));
  const changed = revalidate({ ...loaded.config, port: 2, log: { ...loaded.config.log, level: 'debug' } }, loaded);
  assert.equal(changed.port, 2);
  assert.deepEqual(loaded.provenance.port, { from: 'hook', where: 'configResolved' });
  assert.deepEqual(loaded.provenance['log.level'], { from: 'hook', where: 'configResolved' });
  assert.equal(loaded.provenance['log.format']?.from, 'default');
});

for (const [change, says] of [
  [{ port: 'x' }, /^hook configResolved: port: expected a whole number from 0 to 65535, found "x"$/],
  [{ prot: 1 }, /^hook configResolved: prot: unknown key, did you mean "port"\?$/],
  [
    { https: { key: '/k' } },
    /^hook configResolved: https: expected both key and cert, found no cert\nhook configResolved: https\.key: cannot read \/k/,
  ],
  [{ title: undefined }, /^hook configResolved: title: expected a text, found nothing$/],
] as const) {
  test(`a tap that answers ${JSON.stringify(change)} is refused`, async (t) => {
    const { config } = await load(withConfig(t, {}));
    assert.match(await refusal((async () => revalidate({ ...config, ...change }))()), says);
  });
}

test('a tap that answers nothing is refused', async () => {
  assert.match(await refusal((async () => revalidate(undefined))()), /^hook configResolved: expected an object/);
});
