import assert from 'node:assert/strict';
import { freePort, startCluster, type Scope } from '../helpers/cluster.js';
import { eventually } from '../helpers/eventually.js';
import { Load } from '../helpers/load.js';
import { ownApp } from '../helpers/own-app.js';

/** What an app does before it listens: opens another port, looks whether its own is free, takes its time (ms). */
interface Manner {
  name: string;
  second?: 'before' | 'after';
  probe?: 'port' | 'all hosts' | 'chosen';
  late: number;
  /** Further options of its listen. */
  how?: string;
}

const manners: readonly Manner[] = [
  { name: 'a second port, 0.3 s', second: 'before', late: 300 },
  { name: 'a second port, 1.5 s', second: 'before', late: 1_500 },
  { name: 'a second port, 3 s', second: 'before', late: 3_000 },
  { name: 'a second port later', second: 'after', late: 300 },
  { name: 'a probe of its port, 0.5 s', probe: 'port', late: 500 },
  { name: 'a probe of its port, 2 s', probe: 'port', late: 2_000 },
  { name: 'a probe of all hosts', probe: 'all hosts', late: 800 },
  { name: 'a port that was let go', probe: 'chosen', late: 600 },
  { name: 'a second port, a probe, exclusive', second: 'before', probe: 'port', late: 1_000, how: ', exclusive: true' },
  { name: 'a late listen on one host', late: 1_200, how: ', host: "127.0.0.1"' },
];

const probes: Record<NonNullable<Manner['probe']>, string> = {
  port: 'await look(process.env.PORT);',
  'all hosts': 'for (const host of [undefined, "0.0.0.0", "127.0.0.1", "localhost"]) await look(process.env.PORT, host);',
  chosen: 'echo().listen(await look(0), "127.0.0.1");',
};

const code = ({ second, probe, late, how = '' }: Manner): string => `
const http = require('node:http');
const net = require('node:net');
const echo = () => http.createServer((request, response) => response.end(request.url));
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const look = (port, host) => new Promise((resolve, reject) => {
  const server = net.createServer().once('error', reject).listen({ port, host }, () => {
    const { port } = server.address();
    server.close(() => resolve(port));
  });
});
(async () => {
  ${second === 'before' ? 'echo().listen(process.env.SECOND);' : ''}
  ${probe ? probes[probe] : ''}
  await wait(${late});
  echo().listen({ port: process.env.PORT${how} });
  ${second === 'after' ? `await wait(${late}); echo().listen(process.env.SECOND);` : ''}
})();`;

export interface ReadySoakOptions {
  reloads: number;
  /** How many of the ten; all by default. */
  apps?: number;
}

/** Apps that listen late, on two ports, or look first, reloaded under load, side by side: nothing is lost on any port. */
export async function readySoak(scope: Scope, { reloads, apps = manners.length }: ReadySoakOptions): Promise<string> {
  const lines = await Promise.all(manners.slice(-apps).map((manner) => one(scope, manner, reloads)));
  return lines.join('\n');
}

async function one(scope: Scope, manner: Manner, reloads: number): Promise<string> {
  const second = await freePort();
  const app = ownApp(scope, { 'server.js': code(manner) });
  const cluster = await startCluster(scope, app.dir, { flags: ['-w', '2'], env: { SECOND: String(second) }, deadline: 30_000 });
  if (manner.second === 'after') await eventually(async () => (await cluster.status()).addresses.length === 2, 20_000);
  const ports = manner.second ? [cluster.port, second] : [cluster.port];
  const loads = ports.map((port) => new Load({ keepAlive: 1, perConnection: 1 }, { http: { port }, pause: 40 }, scope));
  const started = performance.now();
  for (let n = 1; n <= reloads; n++) {
    const { code: failed, stdout, stderr } = await cluster.run('reload', [], 150_000);
    assert.equal(failed, 0, `${manner.name}, reload ${n}: ${stdout}${stderr}\n${cluster.output.slice(-4000)}`);
  }
  for (const load of loads) await load.stop();
  const answered = loads.reduce((sum, load) => sum + load.answered, 0);
  const lost = loads.reduce((sum, load) => sum + load.lost, 0);
  const took = Math.round((performance.now() - started) / 1000);
  const report = `${manner.name.padEnd(36)} ${reloads} reloads in ${took} s, ${answered} requests, ${lost} lost`;
  assert.equal(lost, 0, `${report}\n${loads.map((load) => load.report()).join('\n')}\n${cluster.output.slice(-4000)}`);
  assert.doesNotMatch(cluster.output, /does not listen on/, manner.name);
  assert.equal((await cluster.status()).address, cluster.url);
  assert.equal((await cluster.stop(20_000)).code, 0);
  await cluster.assertNothingLeft();
  return report;
}
