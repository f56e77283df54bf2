import { style } from './output.js';
import { table, wrapped } from './table.js';

/** As `GET /hosts` of a master with the plugin `hosts` answers. */
export interface ToldHosts {
  instances: {
    id: string; host: string; title: string; pid: number; state: string; address: string | null;
    workers: { ready: number; all: number }; version: string; node: string; startedAt: string; seen: number;
  }[];
  leases: { name: string; token: number; instance: string; pid: number; left: number }[];
  unreachable: string | null;
}

/** `status --all` for a person. */
export async function hostsPage({ instances, leases, unreachable }: ToldHosts, columns: number): Promise<string> {
  const names = new Map(instances.map(({ id, host }) => [id, host]));
  const rows = [...instances].sort((one, other) => one.host.localeCompare(other.host) || one.startedAt.localeCompare(other.startedAt));
  const all = await table(
    ['host', 'title', 'pid', 'state', 'workers', 'address', 'hatchery', 'node', 'since', 'heard of'],
    rows.map((one) => [
      one.host, one.title, String(one.pid), one.state, `${one.workers.ready}/${one.workers.all}`, one.address ?? '-', one.version, one.node,
      one.startedAt.slice(0, 19).replace('T', ' '), one.seen < 1_000 ? 'now' : `${Math.round(one.seen / 1_000)}s ago`,
    ]),
    { right: [2] },
  );
  const led = leases.map(({ name, token, instance, pid }) =>
    `${name}: led by ${names.get(instance) ?? instance}, pid ${pid}, token ${token}`);
  return [
    ...(unreachable === null ? [] : [`${style('only this instance', 'yellow')}: ${unreachable}`, '']),
    all,
    ...(led.length > 0 ? ['', ...led.sort().map((line) => wrapped(line, columns))] : []),
  ].join('\n');
}
