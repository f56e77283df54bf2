import { accessSync, constants } from 'node:fs';
import os from 'node:os';
import * as v from 'valibot';
import { ClusterError } from '../kit/errors.js';
import { check, isObject, pathText, refuse, type Path } from './check.js';
import type { LoadedConfig } from './load.js';
import { mergeLayers, originOf, type Provenance } from './merge.js';
import { isFile } from './resolve-module.js';
import { HTTPS_PORT, profileSchema, type Config, type HttpsFiles } from './schema.js';
import { reason } from './target.js';

/** Bytes; the system cuts a longer name, or Node refuses it. */
const LONGEST_SOCKET = ({ win32: Infinity, linux: 107 } as Partial<Record<NodeJS.Platform, number>>)[process.platform] ?? 103;

/**
 * Merged layers as the cluster runs with them.
 * @throws ClusterError ERR_CLUSTER_CONFIG
 */
export function resolveConfig(values: Record<string, unknown>, provenance: Provenance): Config {
  const source = (at: Path) => whereWritten(provenance, at);
  const parsed = v.safeParse(profileSchema, values);
  if (!parsed.success) refuse(check(profileSchema, values, source));
  const { workers, title, https, plugins, port, ...rest } = parsed.output as v.InferOutput<typeof profileSchema>;
  if (title === undefined) throw new ClusterError('ERR_CLUSTER_CONFIG', `${source(['title'])}: expected a text, found nothing`);
  const portIsDefault = originOf(provenance, ['port']).from === 'default';
  const config: Config = {
    ...rest,
    title,
    workers: workers === 'auto' ? os.availableParallelism() : Number(workers),
    port: https && portIsDefault ? HTTPS_PORT : port,
    ...(https ? { https: https as HttpsFiles } : {}),
    plugins: plugins as Config['plugins'],
  };
  refuse(contradictions(config, source));
  return config;
}

/** What no single layer can be blamed for. */
function contradictions(config: Config, source: (at: Path) => string): string[] {
  const { https, refork, path } = config;
  const lines: string[] = [];
  if (refork.minDelay > refork.maxDelay) {
    lines.push(`${source(['refork', 'minDelay'])}: expected at most maxDelay (${refork.maxDelay}), found ${refork.minDelay}`);
  }
  if (path !== undefined && Buffer.byteLength(path) > LONGEST_SOCKET) {
    lines.push(`${source(['path'])}: expected at most ${LONGEST_SOCKET} bytes, as the system allows, found ${Buffer.byteLength(path)} in ${path}`);
  }
  if (!https) return lines;
  for (const key of ['key', 'cert'] as const) {
    if (!https[key]) lines.push(`${source(['https'])}: expected both key and cert, found no ${key}`);
  }
  for (const [key, file] of Object.entries(https) as [string, string | undefined][]) {
    const failure = file && unreadable(file);
    if (failure) lines.push(`${source(['https', key])}: cannot read ${file}: ${failure}`);
  }
  return lines;
}

function unreadable(file: string): string | undefined {
  try {
    accessSync(file, constants.R_OK);
    return isFile(file) ? undefined : 'it is not a file';
  } catch (error) {
    return reason(error);
  }
}

/** Names the place where a value was written. */
export function whereWritten(provenance: Provenance, at: Path): string {
  const { from, where } = originOf(provenance, at);
  if (from === 'hook') return `hook configResolved: ${pathText(at)}`;
  if (from === 'flag' || from === 'env') return where ?? pathText(at);
  if (from === 'profile') return `${where}.${pathText(at)}`;
  return where ? `${where}: ${pathText(at)}` : from === 'inline' ? `options: ${pathText(at)}` : pathText(at);
}

/**
 * Validates what taps of `configResolved` made of the configuration, and notes in `loaded.provenance` what they changed.
 * @throws ClusterError ERR_CLUSTER_CONFIG that names the hook
 */
export function revalidate(config: unknown, loaded?: LoadedConfig): Config {
  refuse(check(profileSchema, config, (at) => `hook configResolved${at.length ? `: ${pathText(at)}` : ''}`));
  const { values, provenance } = mergeLayers([{ values: config as Record<string, unknown>, origin: () => ({ from: 'hook' }) }]);
  const resolved = resolveConfig(values, { ...provenance, title: { from: 'hook' } });
  if (loaded) noteChanges(resolved, loaded);
  return resolved;
}

function noteChanges(config: Config, { config: before, provenance }: LoadedConfig): void {
  const differs = (one: unknown, other: unknown, at: Path): void => {
    if (isObject(one) && isObject(other)) {
      for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) differs(one[key], other[key], [...at, key]);
    } else if (JSON.stringify(one) !== JSON.stringify(other)) {
      provenance[pathText(at)] = { from: 'hook', where: 'configResolved' };
    }
  };
  differs(config, before, []);
}
