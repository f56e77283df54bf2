import { workerRange } from '../../lib/config/check.js';
import type { Config } from '../../lib/config/schema.js';
import type { GracefulExitOptions } from '../../plugins/graceful-exit/options.js';
import type { Facts } from './facts.js';
import { bites, count, good, megabytes, note, type Answer, type Check } from './finding.js';

const LITTLE_SPACE = 100 * 2 ** 20;
/** How long a balancer keeps an idle connection as a rule, s (AWS and nginx; Google longer). */
const BALANCER = 60;
/** What a stop takes beside its deadlines, s. */
const MARGIN = 2;
const DAY = 86_400_000;
/** Renewed by then as a rule, days. */
const SOON = 14;

/** Options as the drain has them, where nothing is written its defaults. */
function drainOf({ config }: Facts): Pick<GracefulExitOptions, 'timeout' | 'agentTimeout' | 'shutdownDelay'> {
  const options = config?.plugins['graceful-exit'];
  const defaults = { timeout: 30_000, agentTimeout: 5_000, shutdownDelay: 0 };
  return { ...defaults, ...(typeof options === 'object' ? options as Partial<GracefulExitOptions> : {}) };
}

const portOf = ({ config }: Facts, plugin: string): unknown => {
  const options = config?.plugins[plugin];
  return typeof options === 'object' ? options.port : undefined;
};

function workersOf(config: Config): string {
  const { min, max } = workerRange(config) ?? {};
  return min === undefined ? count(config.workers, 'worker') : `${min} to ${max} workers`;
}

/** Of the app, its configuration and what runs of it. */
export const SERVICE_CHECKS: readonly Check[] = [
  {
    name: 'node',
    look: ({ own, running, app }) => [
      own.fits ? good(`${own.node} (${own.path})`) : bites(`${own.node} is too old`, 'install Node 20.19 or later'),
      ...(Number(own.node.replace(/^v(\d+).*/, '$1')) % 2 === 1
        ? [note(`${own.node} is of a line without long-term support`, 'use an even version')] : []),
      ...(typeof running === 'object' && running && `v${running.status.node}` !== own.node
        ? [note(`the running master has ${running.status.node}, this command ${own.node}`, 'framework restart takes this one')] : []),
      ...(app?.engines && !app.engines.fits
        ? [bites(`${app.name} wants node ${app.engines.range} (engines of package.json), this is ${own.node}`, 'use a Node that fits')]
        : []),
    ],
  },
  {
    name: 'configuration',
    look: ({ config, mistakes, unused }) => [
      ...mistakes.map((line) => bites(line, 'a start would end with this line; mend it')),
      ...unused.map((file) => note(`${file} is not read: another configuration comes first`, 'remove one of them')),
      ...(config && mistakes.length === 0 ? [good(`valid, ${workersOf(config)}, balance ${config.balance}`)] : []),
    ],
  },
  {
    name: 'versions',
    look: ({ app, own, running }) => app && [
      ...(app.installed !== null && app.installed !== own.version ? [bites(
        `this is hatchery ${own.version}, the app has ${app.installed} in its node_modules`, 'use one of them: npx framework, in the app',
      )] : []),
      ...(typeof running === 'object' && running && running.status.version !== own.version ? [note(
        `the running master is hatchery ${running.status.version}, this is ${own.version}`, 'framework restart',
      )] : []),
      good([
        `${app.name}${app.version === null ? '' : ` ${app.version}`}`,
        ...app.plugins.filter(({ ours }) => !ours).map(({ name, version }) => `plugin ${name}${version === null ? '' : ` ${version}`}`),
        `built-in: ${app.plugins.filter(({ ours }) => ours).map(({ name }) => name).join(', ')}`,
      ].join(', ')),
    ],
  },
  {
    name: 'address',
    look: ({ ports }) => ports.map(({ where, at, own, code, holder }) => {
      if (code === null) return good(`${at} is ${own ? 'this instance\'s own' : 'free'}`);
      const why: Record<string, Answer> = {
        EADDRINUSE: bites(`${where}: ${at} is taken${holder === null ? '' : ` by ${holder}`}`, 'stop that, or take another port'),
        EACCES: bites(`${where}: ${at} is not allowed for this user`,
          'take a port from 1024 up, let systemd open it (framework systemd --socket), or give node cap_net_bind_service'),
        EADDRNOTAVAIL: bites(`${where}: no interface of this machine has the address of ${at}`, 'set host to one that it has, or none'),
      };
      return why[code] ?? bites(`${where}: ${at} cannot be had (${code})`, 'set another host, port or path');
    }),
  },
  {
    name: 'certificate',
    look: ({ certificate, now }) => {
      if (!certificate) return null;
      const { file, until, fits } = certificate;
      const days = Math.floor((until - now) / DAY);
      if (!fits) return bites(`${file} and https.key do not belong together`, 'set both to files of one pair');
      if (days < 0) return bites(`${file} has expired, ${count(-days, 'day')} ago`, 'renew it, and reload');
      if (days < SOON) return note(`${file} expires in ${count(days, 'day')}`, 'renew it, and reload');
      return good(`${file}, ${count(days, 'day')} left`);
    },
  },
  {
    name: 'grace',
    look(facts) {
      const { orchestrator } = facts;
      if (!orchestrator) return null;
      const { timeout, agentTimeout, shutdownDelay } = drainOf(facts);
      const agent = facts.hasAgent ? agentTimeout : 0;
      const needed = (shutdownDelay + timeout + agent) / 1_000;
      const sum = `${needed} s (shutdownDelay + timeout${agent > 0 ? ' + agentTimeout' : ''} of graceful-exit)`;
      const { name, grace, from } = orchestrator;
      if (grace === null) return good(`${name} waits as long as it takes (${from}), a stop takes up to ${sum}`);
      if (needed + MARGIN <= grace) return good(`${name} waits ${grace} s (${from}), a stop takes up to ${sum}`);
      const most = Math.max(1, Math.floor(grace - MARGIN - (shutdownDelay + agent) / 1_000)) * 1_000;
      return bites(`${name} kills after ${grace} s (${from}), a stop may take ${sum}: what is in flight then is lost`,
        `let it wait ${Math.ceil(needed + MARGIN)} s, or set plugins["graceful-exit"].timeout to ${most}`);
    },
  },
  {
    name: 'readiness',
    look(facts) {
      const { orchestrator } = facts;
      if (!orchestrator?.polls) return null;
      const { shutdownDelay } = drainOf(facts);
      return [
        shutdownDelay === 0 ? bites(
          `shutdownDelay is 0 under ${orchestrator.name}: it sends requests for a moment after it has told to stop`,
          'set plugins["graceful-exit"].shutdownDelay to 5000',
        ) : good(`shutdownDelay ${shutdownDelay} ms`),
        portOf(facts, 'health-check') === undefined ? note(
          `no health port: ${orchestrator.name} cannot ask /readyz and /livez`, 'set plugins["health-check"].port, and probes for it',
        ) : good(`/readyz and /livez on port ${String(portOf(facts, 'health-check'))}`),
      ];
    },
  },
  {
    name: 'keep-alive',
    look({ running, orchestrator }) {
      if (typeof running !== 'object' || running === null || running.keepAlive === null) return null;
      const { keepAlive } = running;
      if (keepAlive === 0 || keepAlive > BALANCER) return good(`idle connections are kept ${keepAlive || 'any number of'} s`);
      const text = `keepAliveTimeout is ${keepAlive} s: a balancer keeps connections for ${BALANCER} s, and meets closed ones (502)`;
      return (orchestrator?.polls ? bites : note)(text, 'set server.keepAliveTimeout to 65000 in the app, if a balancer is in front');
    },
  },
  {
    name: 'places',
    look({ places: { unsafe, none, stale, unreadable } }) {
      const wrong = [
        ...unsafe.map((dir) => bites(
          `${dir} is no directory of this user alone: records and sockets in it are not used`, `chmod 700 ${dir}, or remove it`,
        )),
        ...(none === null ? [] : [bites(`${none}: stop and the others would not find an instance`, 'let HOME, or TMPDIR, be writable')]),
        ...unreadable.map((file) => bites(`${file} is no record that can be read`, `rm ${file}`)),
        ...stale.map((file) => note(`${file} is of a master that is gone`, 'nothing to do: it was removed just now')),
      ];
      return wrong.length > 0 ? wrong : good('records and sockets have a directory of their own');
    },
  },
  {
    name: 'permissions',
    look({ places: { logs, free, open, hidden }, own: { uid }, machine: { container } }) {
      const wrong = [
        ...hidden.map((file) => bites(`${file} cannot be read by this user`, `chmod a+r ${file}, or start as its owner`)),
        ...open.map((file) => bites(`everybody may write ${file}, and it is run`, `chmod o-w ${file}`)),
        ...(logs === null ? [] : [note(
          `no log of a daemon can be written at ${logs}: it goes elsewhere`, 'make logs/ writable, or --stdout FILE',
        )]),
        ...(free !== null && free < LITTLE_SPACE
          ? [bites(`${megabytes(free)} are free where the log is written`, 'make room, or rotate it')] : []),
        ...(uid === 0 && container === null ? [note('this user is root: the app may do everything', 'start as a user of its own')] : []),
      ];
      return wrong.length > 0 ? wrong : good('modules can be read, the log written');
    },
  },
  {
    name: 'instance',
    look({ running }) {
      if (running === null) return good('none is running');
      if (typeof running === 'string') return bites(running, 'framework stop --force, and start it again');
      const { state, workers, faults, slowPaths, cut, title, agent } = running.status;
      const waiting = workers.filter((child) => child.state === 'waiting');
      const failed = [agent, ...workers].find((child) => child?.lastExit?.error)?.lastExit?.error;
      return [
        state === 'degraded' ? bites(
          `${title} is degraded, ${count(waiting.length, 'slot')} empty${failed ? `, last error: ${failed.split('\n', 1)[0]}` : ''}`,
          'framework status and framework logs tell why',
        ) : good(`${title} (pid ${running.pid}) is ${state}`),
        faults > 0 ? note(
          `${count(faults, 'fault')} in the master, which it survived`, 'framework logs tells each; report those that are no plugin\'s',
        ) : null,
        cut > 0 ? note(`${count(cut, 'request')} cut as workers ended`, 'the log names them; a longer timeout of graceful-exit') : null,
        running.nodeEnv !== null && running.nodeEnv !== 'production' ? note(
          `NODE_ENV is ${running.nodeEnv}`, 'start it with NODE_ENV=production, or without one',
        ) : null,
        ...slowPaths.map((what) => note(`slow path: ${what}`, 'another Node has the fast one')),
      ];
    },
  },
];
