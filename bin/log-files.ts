import { closeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { makeInstanceDir } from '../lib/control/instance-dir.js';
import { instanceId } from '../lib/control/registry.js';
import { openLog, type LogPaths } from '../lib/kit/log-files.js';
import { usageError } from './command.js';

export interface LogWishes {
  stdout?: string;
  stderr?: string;
}

/** Where a daemon's log may be, the best place first. A title such as `@scope/name` makes one file name. */
export function logPlaces({ title, dir, realDir }: { title: string; dir: string; realDir: string }): string[] {
  const places = [path.join(dir, 'logs', `${title.replace(/[^\w.@-]+/g, '-')}.log`)];
  try {
    places.push(path.join(makeInstanceDir(), `${instanceId(realDir, title)}.log`));
  } catch {
    // Nothing can be written there either.
  }
  return places;
}

/** The files that can be written. @throws ClusterError ERR_CLUSTER_USAGE for a file that was asked for and cannot be. */
export function chooseLogs(wishes: LogWishes, place: { title: string; dir: string; realDir: string }): LogPaths {
  const wished = (name: keyof LogWishes): string | undefined => {
    const file = wishes[name];
    if (file === undefined) return undefined;
    const failure = failureToWrite(path.resolve(file));
    if (failure) throw usageError(`--${name}: cannot write ${file}: ${failure.message}`);
    return path.resolve(file);
  };
  const out = wished('stdout') ?? logPlaces(place).find((file) => !failureToWrite(file)) ?? os.devNull;
  return { out, err: wished('stderr') ?? out };
}

function failureToWrite(file: string): Error | null {
  try {
    closeSync(openLog(file));
    return null;
  } catch (error) {
    return error as Error;
  }
}
