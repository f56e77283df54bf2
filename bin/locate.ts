import path from 'node:path';
import { logicalCwd } from '../lib/config/target.js';
import { findInstances, listInstances, samePlace, type InstanceRecord } from '../lib/control/registry.js';
import { ClusterError } from '../lib/kit/errors.js';
import { usageError } from './command.js';

export interface Wanted {
  /** As typed. */
  target?: string;
  title?: string;
}

/**
 * The one running instance that a command is for.
 * @throws ClusterError ERR_CLUSTER_NOT_RUNNING; ERR_CLUSTER_USAGE when it could be several
 */
export async function locate({ target, title }: Wanted): Promise<InstanceRecord> {
  const here = path.resolve(logicalCwd(), target ?? '.');
  let found = await findInstances({ target: here, title });
  // Where an entry file lies is not always where its app does.
  if (found.length === 0) found = (await findInstances({ title })).filter((one) => samePlace(path.dirname(one.target), here));
  // A title alone is enough, wherever one stands.
  if (found.length === 0 && target === undefined && title !== undefined) found = await findInstances({ title });
  const [only, second] = found;
  if (!only) throw new ClusterError('ERR_CLUSTER_NOT_RUNNING', await notRunning(here, { target, title }));
  if (second) throw usageError(`several instances match, say which one with --title: ${found.map(named).join(', ')}`);
  return only;
}

const named = ({ title, dir, place = dir, pid }: InstanceRecord): string => `"${title}" in ${place} (pid ${pid})`;

async function notRunning(here: string, { target, title }: Wanted): Promise<string> {
  const where = target === undefined || target === here ? here : `${target} (${here})`;
  const everywhere = target === undefined && title !== undefined;
  const what = `no instance ${title === undefined ? '' : `with the title "${title}" `}is running${everywhere ? '' : ` in ${where}`}`;
  const others = await listInstances();
  return others.length === 0 ? what : `${what}; running: ${others.slice(0, 10).map(named).join(', ')}`;
}
