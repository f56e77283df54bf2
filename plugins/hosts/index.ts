import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { ClusterError, definePlugin, type ChildView, type Master } from '../../lib/index.js';
import type { Hosts, PartOptions, Report } from './messages.js';
import { schema, type HostsOptions } from './options.js';
import { redisPlace, type UrlSource } from './redis-url.js';

const NAME = 'hosts';
/** Milliseconds for the list of all instances. */
const LIST = 4_000;

const parts = (name: string) => new URL(`./${name}.cjs`, import.meta.url);
const refused = (text: string) => new ClusterError('ERR_CLUSTER_PLUGIN', `plugin "${NAME}": ${text}`);

/** Instances on other hosts: broadcasts, leases, presence, by Redis. The master has no connection: one of its children does. */
export default definePlugin<HostsOptions>({
  name: NAME,
  schema,
  apply(master, options) {
    const { hooks } = master;
    const part = partOptions(master, options);
    const own = async (): Promise<Report> => report(part, master);
    const listen = (child: ChildView): void => child.channel.on('hosts.report', own, (data) => data === null);
    hooks.agentForked.tap(NAME, listen);
    hooks.workerForked.tap(NAME, listen);
    master.carryBroadcasts(({ action, data, id, meta }) => {
      const child = anyOf(master);
      return child?.channel.send('hosts.carry', { action, data, id: id as string, ...(meta === undefined ? {} : { meta }) }) === true;
    });
    master.route({ method: 'GET', path: '/hosts', open: false, handler: async () => ({ body: await list(master, part, await own()) }) });
    master.inject('worker', parts('worker'), part);
    master.inject('agent', parts('agent'), part, { passive: true });
  },
});

/** What the children need, as far as it can be right. @throws ClusterError ERR_CLUSTER_PLUGIN */
function partOptions({ config, target }: Master, { url, tls, name, prefix, ttl }: HostsOptions): PartOptions {
  if (config.plugins['shared-clients'] === false) throw refused('it needs the plugin "shared-clients", which is switched off');
  const source: UrlSource = typeof url === 'object' && 'file' in url ? { file: path.resolve(target.dir, url.file) } : url;
  const files = tls && Object.fromEntries(Object.entries(tls).map(([kind, file]) => [kind, path.resolve(target.dir, file)]));
  try {
    redisPlace({ source, tls: files }, { ...process.env, ...config.env });
  } catch (error) {
    throw refused(`url: ${(error as Error).message}`);
  }
  try {
    createRequire(path.join(target.realDir, 'noop.js')).resolve('redis');
  } catch {
    throw refused(`the package redis is not installed in ${target.dir}: npm install redis`);
  }
  const host = name ?? (os.hostname().replaceAll(/[^\x21-\x7e]/g, '-').slice(0, 100) || 'host');
  const instance = `${host}-${process.pid.toString(36)}-${randomBytes(5).toString('hex')}`;
  return { source, ...(files ? { tls: files } : {}), host, prefix: prefix ?? `hatchery:${config.title}`, ttl, instance };
}

async function report({ host }: PartOptions, master: Master): Promise<Report> {
  const { title, master: { pid }, state, address, workers, version, node, startedAt } = await master.status();
  const all = workers.length;
  return { host, title, pid, state, address, workers: { ready: workers.filter((one) => one.state === 'ready').length, all }, version, node,
    startedAt };
}

/** One who can ask for all: the agent, else the first worker that is ready. */
const anyOf = (master: Master): ChildView | undefined => master.children()
  .filter(({ state }) => state === 'ready').sort((one, other) => one.slot - other.slot)[0];

async function list(master: Master, { instance }: PartOptions, own: Report): Promise<Hosts> {
  const alone = (why: string): Hosts => ({ instances: [{ id: instance, seen: 0, ...own }], leases: [], unreachable: why });
  const child = anyOf(master);
  if (!child) return alone('no process is ready to ask');
  try {
    return { ...await child.channel.request('hosts.list', null, { timeout: LIST, valid: isList }), unreachable: null };
  } catch (error) {
    return alone((error as Error).message);
  }
}

type Data = Readonly<Record<string, unknown>>;
/** Whatever else stands in it is shown to nobody but those who may ask. */
const isList = (value: unknown): boolean => typeof value === 'object' && value !== null
  && [(value as Data).instances, (value as Data).leases].every((one) => Array.isArray(one) && one.every((row) => isRow(row)));
const isRow = (row: unknown): boolean => typeof row === 'object' && row !== null;
