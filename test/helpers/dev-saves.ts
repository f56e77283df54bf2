import assert from 'node:assert/strict';
import { descriptors, residentBytes, type Scope } from './cluster.js';
import { startDev, VersionLoad } from './dev.js';

/** A master may grow by this much while it warms up, bytes. */
const GROWTH = 40 * 1024 * 1024;

/** Saves at random moments under load: the last content wins, nothing is lost, nothing is left over. Returns a line of figures. */
export async function savesUnderLoad(scope: Scope, saves: number, longestPause: number): Promise<string> {
  const dev = await startDev(scope);
  await dev.answer(/version 1/);
  dev.write('version.js', 'module.exports = 2;');
  await dev.answer(/version 2/);
  const { cluster } = dev;
  await cluster.waitFor(() => cluster.processes().length >= 3);
  const before = { descriptors: descriptors(cluster.pid), memory: residentBytes(cluster.pid) };
  const load = new VersionLoad(cluster.port, { kept: 4, fresh: 2 });
  for (let version = 3; version < 3 + saves; version++) {
    // A turn of each way to save.
    if (version % 3 === 0) dev.replace('version.js', `module.exports = ${version};`);
    else dev.write('version.js', `module.exports = ${version};`);
    if (version % 7 === 0) dev.write('routes/user.js', `module.exports = () => '${version}';`);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * longestPause));
  }
  const last = `version ${2 + saves}`;
  await dev.answer(new RegExp(`^${last}$`, 'm'));
  // From here on every answer is the last content's.
  for (let n = 0; n < 20; n++) assert.equal((await dev.get()).trim(), last);
  await load.stop();
  const { tally } = load;
  assert.equal(tally.losses, 0, JSON.stringify({ lost: tally.lost, samples: tally.samples }));
  assert.equal(load.steppedBack, 0, 'old code answered after new code');

  // The master, its worker, the spare, the reaper.
  await cluster.waitFor(() => cluster.processes().length <= 4 && descriptors(cluster.pid) <= before.descriptors + 4, 5_000);
  const grown = residentBytes(cluster.pid) - before.memory;
  assert.ok(grown < GROWTH, `the master grew by ${Math.round(grown / 1024 / 1024)} MiB`);
  const reloads = cluster.output.match(/reloaded in \d+ms/g)?.length ?? 0;
  const { at } = await cluster.stop();
  assert.ok(at);
  await cluster.assertNothingLeft();
  return `${saves} saves, ${reloads} reloads, ${tally.ok} answers, 0 lost, `
    + `longest ${Math.round(tally.longest)} ms, master ${grown < 0 ? '' : '+'}${(grown / 1024 / 1024).toFixed(1)} MiB`;
}
