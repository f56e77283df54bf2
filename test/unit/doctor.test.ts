import assert from 'node:assert/strict';
import test from 'node:test';
import type { Facts } from '../../bin/doctor/facts.js';
import { findings, type Finding } from '../../bin/doctor/finding.js';
import { MACHINE_CHECKS } from '../../bin/doctor/machine-checks.js';
import { shown } from '../../bin/doctor/report.js';
import { SERVICE_CHECKS } from '../../bin/doctor/service-checks.js';
import type { Status } from '../../lib/api/control.js';
import type { Config } from '../../lib/config/schema.js';

const now = Date.parse('2026-01-01');
const MB = 2 ** 20;

/** A machine, an app and an instance in which nothing is wrong. */
const healthy = (): Facts => ({
  own: { version: '1.0.0', node: 'v22.12.0', fits: true, path: '/usr/bin/node', platform: 'linux', uid: 1_000 },
  machine: {
    openFiles: 65_536, processes: 30_000, addressSpace: Infinity, fileSize: Infinity, somaxconn: 4_096, migrates: true, watches: 500_000,
    clocksource: 'tsc', synchronized: true, behind: 0, container: 'Kubernetes', first: 'node /app/node_modules/.bin/framework start',
    processors: 4, quota: null, memory: { limit: 1_024 * MB, workingSet: 300 * MB }, pids: { max: 4_000, current: 50 },
  },
  orchestrator: { name: 'Kubernetes', grace: 60, from: 'k8s/web.yml', polls: true },
  config: {
    workers: 4, balance: 'reuse-port', memory: 'watch', reload: { soak: 0, batch: 1 }, execArgv: [],
    plugins: { 'graceful-exit': { shutdownDelay: 5_000 }, 'health-check': { port: 9_000 } },
  } as unknown as Config,
  mistakes: [], unused: [], hasAgent: true,
  app: { name: 'web', version: '2.0.0', dir: '/app', engines: { range: '>=20', fits: true }, installed: '1.0.0', plugins: [] },
  ports: [{ where: 'port', at: 'port 7001', own: true, code: null, holder: null }],
  places: { unsafe: [], none: null, stale: [], unreadable: [], logs: null, free: 5_000 * MB, open: [], hidden: [] },
  certificate: { file: '/app/cert.pem', until: now + 60 * 86_400_000, fits: true },
  running: {
    status: {
      title: 'web', state: 'running', version: '1.0.0', node: '22.12.0', workers: [], agent: null, faults: 0, cut: 0, slowPaths: [],
    } as unknown as Status,
    pid: 7, openFiles: 65_536, keepAlive: 65, nodeEnv: 'production',
  },
  now,
});

const found = (facts: Facts): Finding[] => findings(facts, [...SERVICE_CHECKS, ...MACHINE_CHECKS]);
type Running = Exclude<Facts['running'], string | null>;
const running = (facts: Facts): Running => facts.running as Running;

/** Each fault alone, and the one line that it makes. */
const PLANTED: [what: string, plant: (facts: Facts) => void, name: string, says: RegExp, level?: Finding['level']][] = [
  ['an old Node', (facts) => { facts.own.fits = false; }, 'node', /too old/],
  ['a Node that the app does not take', ({ app }) => { app!.engines = { range: '>=24', fits: false }; }, 'node', /web wants node >=24/],
  ['another Node', (facts) => { running(facts).status.node = '20.19.0'; }, 'node', /master has 20\.19\.0/, 'note'],
  ['a configuration with a mistake', (facts) => { facts.mistakes = ['.clusterrc: prot: unknown key']; },
    'configuration', /prot: unknown key/],
  ['a configuration that is not read', (facts) => { facts.unused = ['cluster.config.js']; },
    'configuration', /cluster\.config\.js/, 'note'],
  ['another hatchery in the app', ({ app }) => { app!.installed = '0.9.0'; }, 'versions', /the app has 0\.9\.0/],
  ['a port that is taken', ({ ports }) => { Object.assign(ports[0]!, { code: 'EADDRINUSE', holder: 'nginx (pid 3)' }); }, 'address',
    /port 7001 is taken by nginx \(pid 3\)/],
  ['a port that is not allowed', ({ ports }) => { ports[0]!.code = 'EACCES'; }, 'address', /not allowed/],
  ['a host of another machine', ({ ports }) => { ports[0]!.code = 'EADDRNOTAVAIL'; }, 'address', /no interface/],
  ['a certificate that has expired', ({ certificate }) => { certificate!.until = now - 86_400_000; }, 'certificate', /expired, 1 day ago/],
  ['a key of another certificate', ({ certificate }) => { certificate!.fits = false; }, 'certificate', /do not belong together/],
  ['a grace that is too short', ({ orchestrator }) => { orchestrator!.grace = 30; }, 'grace', /kills after 30 s .* a stop may take \d+ s/],
  ['shutdownDelay 0 under Kubernetes', ({ config }) => { config!.plugins['graceful-exit'] = true; }, 'readiness', /shutdownDelay is 0/],
  ['no health port under Kubernetes', ({ config }) => { config!.plugins['health-check'] = true; }, 'readiness', /no health port/, 'note'],
  ['a keep-alive below the balancer\'s', (facts) => { running(facts).keepAlive = 5; }, 'keep-alive', /keepAliveTimeout is 5 s/],
  ['a shell as process 1', ({ machine }) => { machine.first = '/bin/sh -c framework start'; }, 'process 1', /a shell is process 1/],
  ['npm as process 1', ({ machine }) => { machine.first = 'npm start'; }, 'process 1', /script runner/],
  ['few descriptors', (facts) => { running(facts).openFiles = 1_024; }, 'open files', /1024 descriptors/],
  ['few processes', ({ machine }) => { machine.processes = 60; }, 'limits', /60 processes and threads/],
  ['few tasks in the container', ({ machine }) => { machine.pids = { max: 100, current: 50 }; }, 'limits', /room for 50/],
  ['a limited address space', ({ machine }) => { machine.addressSpace = 2_000 * MB; }, 'limits', /address space .* 2000 MB/],
  ['a limited file size', ({ machine }) => { machine.fileSize = 10 * MB; }, 'limits', /SIGXFSZ/],
  ['a short backlog', ({ machine }) => { machine.somaxconn = 128; }, 'kernel', /somaxconn is 128/],
  ['reuse-port without migration', ({ machine }) => { machine.migrates = false; }, 'kernel', /tcp_migrate_req is 0/],
  ['a slow clock source', ({ machine }) => { machine.clocksource = 'hpet'; }, 'kernel', /clock source is hpet/, 'note'],
  ['many workers on a quota', ({ machine }) => { machine.quota = 1.5; machine.processors = 8; }, 'processors', /4 workers on 1\.5/, 'note'],
  ['a small container', ({ machine }) => { machine.memory!.limit = 256 * MB; }, 'memory', /limit is 256 MB: 48 MB a worker/],
  ['a full container', ({ machine }) => { machine.memory!.workingSet = 1_000 * MB; }, 'memory', /98 % of it is in use/],
  ['heaps that are larger than the container together', ({ config }) => { config!.execArgv = ['--max-old-space-size', '512']; },
    'memory', /limit is 1024 MB, and execArgv lets the heap of each of 4 workers grow to 512 MB/],
  ['heaps that are too small with memory "limit"', ({ config, machine }) => {
    config!.memory = 'limit';
    machine.memory!.limit = 600 * MB;
  }, 'memory', /limit is 600 MB: with memory "limit" a heap has 59 MB/],
  ['memory "off" in a container', ({ config }) => { config!.memory = 'off'; }, 'memory', /memory is "off"/, 'note'],
  ['memory "limit" without one', ({ config, machine }) => {
    config!.memory = 'limit';
    machine.memory = null;
  }, 'memory', /there is no container's limit/, 'note'],
  ['a clock that is behind', ({ machine }) => { machine.behind = 3_600_000; }, 'clock', /3600 s newer than now/],
  ['a clock that nobody keeps', ({ machine }) => { machine.synchronized = false; }, 'clock', /not synchronized/, 'note'],
  ['an open directory for sockets', ({ places }) => { places.unsafe = ['/home/u/.hatchery']; },
    'places', /no directory of this user alone/],
  ['no place for sockets', ({ places }) => { places.none = 'none of /a can be written'; }, 'places', /would not find an instance/],
  ['a record of a dead master', ({ places }) => { places.stale = ['/h/0.json']; }, 'places', /a master that is gone/, 'note'],
  ['a record that cannot be read', ({ places }) => { places.unreadable = ['/h/1.json']; }, 'places', /no record that can be read/],
  ['a log that cannot be written', ({ places }) => { places.logs = '/app/logs: permission denied'; }, 'permissions', /no log/, 'note'],
  ['a full disk', ({ places }) => { places.free = 3 * MB; }, 'permissions', /3 MB are free/],
  ['a configuration open to all', ({ places }) => { places.open = ['/app/.clusterrc']; }, 'permissions', /everybody may write/],
  ['an entry that cannot be read', ({ places }) => { places.hidden = ['/app/server.js']; }, 'permissions', /cannot be read by this user/],
  ['an instance that does not answer', (facts) => { facts.running = 'the master did not answer'; }, 'instance', /did not answer/],
  ['an instance that is degraded', (facts) => { running(facts).status.state = 'degraded'; }, 'instance', /degraded/],
  ['faults in the master', (facts) => { running(facts).status.faults = 2; }, 'instance', /2 faults/, 'note'],
  ['development in production', (facts) => { running(facts).nodeEnv = 'development'; }, 'instance', /NODE_ENV is development/, 'note'],
];

test('where nothing is wrong every line is good', () => {
  const all = found(healthy());
  assert.deepEqual(all.filter(({ level }) => level !== 'good'), []);
  assert.deepEqual([...new Set(all.map(({ name }) => name))].sort(), [...SERVICE_CHECKS, ...MACHINE_CHECKS]
    .map(({ name }) => name).filter((name) => name !== 'limits').sort());
});

for (const [what, plant, name, says, level = 'bites'] of PLANTED) {
  test(`${what}: named, with its fix, and nothing else is`, () => {
    const facts = healthy();
    plant(facts);
    const wrong = found(facts).filter((one) => one.level !== 'good');
    assert.deepEqual(wrong.map((one) => [one.name, one.level]), [[name, level]], JSON.stringify(wrong));
    assert.match(wrong[0]!.text, says);
    assert.ok(wrong[0]!.fix);
  });
}

test('all of them at once, of which none hides another', () => {
  const facts = healthy();
  const others = /not allowed|of another machine|full container|nobody keeps|npm|answer|of another cert|heaps that|memory "/;
  const together = PLANTED.filter(([what]) => !others.test(what));
  for (const [, plant] of together) plant(facts);
  const lines = found(facts).filter(({ level }) => level !== 'good').map(({ text }) => text).join('\n');
  assert.ok(together.length > 30);
  for (const [what, , , says] of together) assert.match(lines, says, what);
});

test('what looks like a secret is masked', () => {
  const facts = healthy();
  facts.ports[0] = { where: 'port', at: 'port 1', own: false, code: 'EADDRINUSE', holder: 'node x.js --token=abc123 (pid 3)' };
  facts.running = 'connect postgres://u:hunter2@db failed';
  const text = JSON.stringify(found(facts).map(shown));
  assert.doesNotMatch(text, /abc123|hunter2/);
});
