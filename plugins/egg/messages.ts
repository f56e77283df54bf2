import type { Address, Master, Target } from '../../lib/index.js';

/** Egg's names for what the master tells its children and its parent. */
const NAMES: Readonly<Record<string, string>> = { 'cluster-ready': 'egg-ready', 'agent-pids': 'egg-pids', 'app-pids': 'egg-pids' };

/** Egg's messages, with Egg's data, as ours go out: so they are true at the same moments. */
export function tellEgg(master: Master, given: Record<string, unknown>, debugPort: number | undefined): void {
  const { hooks, messenger } = master;
  const dataFor = (action: string, to: string | undefined, data: unknown): unknown => {
    if (action !== 'cluster-ready') return data;
    return to === 'parent' ? forParent((data as { address: Address | null }).address, debugPort) : optionsNow(master, given);
  };
  hooks.message.tap({ name: 'egg', actions: Object.keys(NAMES) }, ({ action, from, to, receiverPid, data }) => {
    if (from !== 'master') return undefined;
    messenger.sendTo((receiverPid ?? to) as Target, NAMES[action] as string, dataFor(action, to, data));
    return undefined;
  });
}

/** What Application and Agent are made with, as the master knows it. */
function optionsNow({ config, target, clusterPort }: Master, given: Record<string, unknown>): Record<string, unknown> {
  const { title, workers, port, https } = config;
  return { baseDir: target.realDir, title, workers, port, https, clusterPort, ...given };
}

function forParent(address: Address | null, debugPort: number | undefined) {
  return { port: address?.port, debugPort, address: address && shownAddress(address), protocol: address?.protocol };
}

/** As Egg shows where it listens: HOST of the environment is a name for it. */
export function shownAddress({ protocol, host, port, path: file }: Address): string {
  if (file !== undefined) return file;
  const { HOST } = process.env;
  const isAny = host === undefined || host === '::' || host === '0.0.0.0';
  const name = !isAny ? host : HOST && HOST !== '0.0.0.0' ? HOST : '127.0.0.1';
  return `${protocol}://${name}:${port}`;
}
