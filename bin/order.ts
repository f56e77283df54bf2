import { ControlClient } from './client.js';
import type { InstanceRecord } from '../lib/control/registry.js';
import { ClusterError } from '../lib/kit/errors.js';
import { print } from './output.js';

/** Has a running master do something that takes time, a line for each step. Rejects with its refusal or failure. */
export async function order<Result>(record: InstanceRecord, path: string, body?: object): Promise<Result> {
  try {
    return await new ControlClient(record).run<Result>(path, ({ text }) => { print(text); }, body);
  } catch (error) {
    const { message, detail } = error as Error & { detail?: string };
    // A mistake in the app's configuration is the user's, and yet the line that was typed was right: 1, not 2.
    const keepsCode = error instanceof ClusterError && (error.exitCode === 1 || error.code === 'ERR_CLUSTER_USAGE');
    throw new ClusterError(keepsCode ? error.code : 'ERR_CLUSTER_CONTROL', message, { detail });
  }
}
