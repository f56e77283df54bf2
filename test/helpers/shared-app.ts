import { startCluster, type ClusterOptions, type Scope, type TestCluster } from './cluster.js';
import { get } from './http-get.js';

/** What a worker of fixtures/shared-clients answers. */
export interface Answer<Result = unknown> {
  slot: number;
  pid: number;
  result: Result;
  heard: unknown[];
  /** Milliseconds that the call took. */
  took: number;
}

export interface Where { pid: number; slot: number }
export interface Failed { error: { name: string; message: string; code?: string } }

/** A cluster of fixtures/shared-clients, and how its workers are asked to use their clients. */
export async function startShared(scope: Scope, options: ClusterOptions = {}) {
  const cluster = await startCluster(scope, 'shared-clients', { flags: ['-w', '2'], ...options });
  const anyone = async <Result>(verb?: string, ...args: unknown[]): Promise<Answer<Result>> => {
    const { json } = await get(cluster.url, { method: 'POST', body: JSON.stringify({ verb, args }) });
    return json as unknown as Answer<Result>;
  };
  /** The worker of a slot; connections reach any. */
  const on = async <Result = unknown>(slot: number, verb?: string, ...args: unknown[]): Promise<Answer<Result>> => {
    for (const began = performance.now(); performance.now() - began < 10_000;) {
      const { json } = await get(cluster.url, { method: 'POST', body: JSON.stringify({ slot, verb, args }) });
      if ((json as unknown as Answer).slot === slot) return json as unknown as Answer<Result>;
    }
    throw new Error(`worker ${slot} does not answer\n${cluster.output}`);
  };
  return { cluster, anyone, on };
}

interface Pace {
  calls: number;
  /** Milliseconds of the longest call. */
  longest: number;
  errors: string[];
}

/** What workers with PACE have said at their end. */
export const pacesOf = (cluster: TestCluster): Pace[] =>
  [...cluster.output.matchAll(/^paced (.*)$/gm)].map(([, text = '']) => JSON.parse(text) as Pace);
