import type { Launch } from '../lib/api/control.js';
import { differences } from '../lib/config/environment.js';
import { ControlClient } from './client.js';
import type { InstanceRecord } from '../lib/control/registry.js';
import { ClusterError } from '../lib/kit/errors.js';
import { print } from './output.js';

/** What is known of a running master, and the environment that what follows it is to have. */
export interface Succession {
  /** Null where it cannot be known. */
  launch: Launch | null;
  env: Record<string, string>;
}

/**
 * The environment that an instance is to have from now on: the one of its start, which it tells over its control socket and
 * which is written nowhere, or this shell's.
 * @throws ClusterError ERR_CLUSTER_CONTROL where it cannot tell, and nothing has been touched
 */
export async function environmentFor(record: InstanceRecord, fromShell: boolean): Promise<Succession> {
  const shell = { ...process.env } as Record<string, string>;
  const launch = await new ControlClient(record).launch().catch((error: Error) => {
    if (fromShell) return null;
    throw new ClusterError('ERR_CLUSTER_CONTROL', `${error.message}; ${wayOut(record)}`);
  });
  if (!launch && !fromShell) throw new ClusterError('ERR_CLUSTER_CONTROL', `${silent(record).message}; ${wayOut(record)}`);
  return { launch, env: launch && !fromShell ? { ...launch.env } : shell };
}

/** By name, and never with their values: the variables in which this shell differs from the start. */
export function tellEnvironment({ launch, env }: Succession): void {
  const kept = launch && differences(env, process.env);
  const taken = launch && differences(launch.env, env);
  if (kept) print(`environment kept as at the start; in this shell ${kept} (--env-from-shell takes it)`);
  if (taken) print(`environment of this shell; since the start ${taken}`);
}

const wayOut = ({ title, pid }: InstanceRecord): string =>
  `${title} (pid ${pid}) goes on; --env-from-shell starts it with the environment of this shell`;

export const silent = ({ title, pid }: InstanceRecord): ClusterError =>
  new ClusterError('ERR_CLUSTER_CONTROL', `the master of "${title}" (pid ${pid}) does not tell its environment: it is of an older version`);

/** Another Node is no failure, and a surprise. */
export function tellNode(launch: Launch | null): void {
  const { execPath, version } = process;
  if (!launch || (launch.node.path === execPath && launch.node.version === version)) return;
  print(`node: ${launch.node.version} (${launch.node.path}) -> ${version} (${execPath})`);
}
