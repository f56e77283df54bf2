import path from 'node:path';
import { ClusterError } from '../../kit/errors.js';
import { nearest } from '../../kit/nearest.js';
import { packageRoot } from '../../kit/package.js';

/** A plugin's own error: one line, and below it where in the plugin it happened. */
export function failure(what: string, error: unknown): ClusterError {
  const text = error instanceof Error ? error.message.split('\n')[0] : String(error);
  return new ClusterError('ERR_CLUSTER_PLUGIN', `${what}: ${text}`, { cause: error, detail: error instanceof Error ? foreignFrames(error) : '' });
}

/** `missed`: what the plugin has asked for among the hooks, and is none of them. */
export function applyFailure(plugin: string, error: unknown, missed: readonly string[], hooks: readonly string[]): ClusterError {
  if (error instanceof ClusterError) return error;
  const what = `plugin "${plugin}" failed in apply`;
  const wrong = error instanceof TypeError && error.message.includes('undefined') ? missed.at(-1) : undefined;
  if (wrong === undefined) return failure(what, error);
  const near = nearest(wrong, hooks);
  return failure(what, Object.assign(error as Error, { message: `there is no hook "${wrong}"${near ? `, did you mean "${near}"?` : '; "framework hooks" lists them'}` }));
}

const foreignFrames = ({ stack = '' }: Error): string => stack.split('\n')
  .filter((line) => /^ +at /.test(line) && !line.includes(`${packageRoot}${path.sep}`) && !line.includes('node:'))
  .map((line) => line.replaceAll(/\?fresh=\d+/g, '')).join('\n');
