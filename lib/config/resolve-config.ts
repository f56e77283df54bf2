import { accessSync, constants } from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import path from 'node:path';
import * as v from 'valibot';
import { cpuQuota, processors } from '../kit/cgroup.js';
import { ClusterError, reason } from '../kit/errors.js';
import { isObject, nearest, show } from '../kit/misuse.js';
import { groupId, localGroups, mayGive, socketPathFault } from '../kit/sockets.js';
import { check, type Path, pathText, refuse, standbys, type WorkerRange } from './check.js';
import { isFile, isPath, packageFolder } from './modules.js';
import { asWritten, mergeLayers, originOf, type Provenance, whereWritten } from './provenance.js';
import { ADAPTIVE, type Config, HTTPS_PORT, type HttpsFiles, MOST_WORKERS, profileSchema } from './schema.js';

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
    workers: typeof workers === 'object' ? workers.min : Number(workers),
    port: https && portIsDefault ? HTTPS_PORT : port,
    ...(https ? { https: https as HttpsFiles } : {}),
    plugins: plugins as Config['plugins'],
  };
  const isSaid = (plugin: string) => originOf(provenance, ['plugins', plugin]).from !== 'default';
  if (!isSaid('standby') && standbys(config).count > 0) config.plugins = { ...config.plugins, standby: true };
  refuse(rangeFaults(workers, config, provenance));
  if (typeof workers === 'object' && !(isSaid(ADAPTIVE) && config.plugins[ADAPTIVE] === false)) {
    config.plugins = { ...config.plugins, [ADAPTIVE]: { ...workers } };
    provenance[pathText(['plugins', ADAPTIVE])] = { ...originOf(provenance, ['workers']), counted: 'workers' };
  }
  refuse(contradictions(config, source, (at, full) => asWritten(provenance, at, full)));
  return config;
}

/** The range of workers, which the key `workers` says and nothing else. */
function rangeFaults(workers: WorkerRange | number | string, { plugins }: Config, provenance: Provenance): string[] {
  const at = ['plugins', ADAPTIVE];
  const given = plugins[ADAPTIVE];
  // Resolved before, and shown to the taps of `configResolved`.
  const isResolved = originOf(provenance, at).from === 'hook' && isObject(given);
  const lines = isObject(given) && !isResolved
    ? [`${whereWritten(provenance, at)}: expected true or false, found ${show(given)}: the range is the key \`workers\``]
    : given === true && typeof workers !== 'object'
      ? [`${whereWritten(provenance, at)}: expected \`workers\` to be { min, max } where it is on, found ${show(workers)}`] : [];
  const range = typeof workers === 'object' ? workers : undefined;
  if (!range || range.min <= range.max) return lines;
  return [...lines, `${whereWritten(provenance, ['workers', 'min'])}: expected at most max (${range.max}), found ${range.min}`];
}

/** What no single layer can be blamed for. */
function contradictions(config: Config, source: (at: Path) => string, typed: (at: Path, full: string) => string): string[] {
  const { https, refork, path: socket } = config;
  const lines: string[] = [];
  if (refork.minDelay > refork.maxDelay) {
    lines.push(`${source(['refork', 'minDelay'])}: expected at most maxDelay (${refork.maxDelay}), found ${refork.minDelay}`);
  }
  if (config.group !== undefined && groupId(config.group) === undefined) {
    const near = nearest(String(config.group), localGroups().keys());
    lines.push(`${source(['group'])}: there is no group "${config.group}"${near ? `, did you mean "${near}"?` : ''}`);
  }
  if (!config.server && standbys(config).count > 0) {
    lines.push(`${source(['standby'])}: expected 0 with \`server: false\`, found ${JSON.stringify(config.standby)}: an app without `
      + 'a server does its work as soon as it is loaded, so one that waits would do it as well');
  }
  const fault = socket === undefined ? undefined : socketPathFault(socket);
  if (fault) lines.push(`${source(['path'])}: ${fault}`);
  if (!https) return lines;
  for (const key of ['key', 'cert'] as const) {
    if (!https[key]) lines.push(`${source(['https'])}: expected both key and cert, found no ${key}`);
  }
  for (const [key, file] of Object.entries(https) as [string, string | undefined][]) {
    const failure = file && unreadable(file);
    if (failure && file) lines.push(`${source(['https', key])}: cannot read ${typed(['https', key], file)}: ${failure}`);
  }
  return lines;
}

/**
 * For a start, or a reload, of this user; others may read the configuration.
 * @throws ClusterError ERR_CLUSTER_CONFIG: the group is none of the user's, so that the system lets it give nothing to that
 */
export function assertOwnGroup({ config: { group }, provenance }: Loaded): void {
  const gid = group === undefined ? undefined : groupId(group);
  if (gid === undefined || mayGive(gid)) return;
  refuse([`${whereWritten(provenance, ['group'])}: this user (uid ${process.getuid?.()}) is not in group "${group}", `
    + 'so it cannot give a socket to it: add the user to the group, or start as one that is in it']);
}

function unreadable(file: string): string | undefined {
  try {
    accessSync(file, constants.R_OK);
    return isFile(file) ? undefined : 'it is not a file';
  } catch (error) {
    return reason(error);
  }
}

/**
 * A line for each module of `require` and `import` that is not there; each child would end with Node's own stack. Only what
 * is certain: a package that is there may resolve in ways that Node alone knows.
 */
export function missingPreloads({ config, provenance }: Loaded, dir: string): string[] {
  const missing = (specifier: string, at: Path) => isPath(specifier)
    ? `no such file: ${asWritten(provenance, at, specifier)}` : `package "${specifier}" cannot be found from ${dir}: is it installed?`;
  return (['require', 'import'] as const).flatMap((key) => config[key].flatMap((specifier, index) =>
    isThere(specifier, dir, key) ? [] : [`${whereWritten(provenance, [key])}: ${missing(specifier, [key, index])}`]));
}

function isThere(specifier: string, dir: string, key: 'require' | 'import'): boolean {
  if (isBuiltin(specifier) || /^[a-z]{2,}:/.test(specifier)) return true;
  if (key === 'import' && isPath(specifier)) return isFile(specifier);
  const name = /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0];
  if (!isPath(specifier) && name && packageFolder(name, dir)) return true;
  try {
    createRequire(path.join(dir, 'noop.js')).resolve(specifier);
    return true;
  } catch {
    return false;
  }
}

interface Loaded {
  config: Config;
  provenance: Provenance;
}

/**
 * Validates what taps of `configResolved` made of the configuration, and notes in `loaded.provenance` what they changed.
 * @throws ClusterError ERR_CLUSTER_CONFIG that names the hook
 */
export function revalidate(config: unknown, loaded?: Loaded): Config {
  refuse(check(profileSchema, config, (at) => `hook configResolved${at.length ? `: ${pathText(at)}` : ''}`));
  const { values, provenance } = mergeLayers([{ values: config as Record<string, unknown>, origin: () => ({ from: 'hook' }) }]);
  const resolved = resolveConfig(values, { ...provenance, title: { from: 'hook' } });
  if (loaded) noteChanges(resolved, loaded);
  return resolved;
}

function noteChanges(config: Config, { config: before, provenance }: Loaded): void {
  const differs = (one: unknown, other: unknown, at: Path): void => {
    if (isObject(one) && isObject(other)) {
      for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) differs(one[key], other[key], [...at, key]);
    } else if (JSON.stringify(one) !== JSON.stringify(other)) {
      provenance[pathText(at)] = { from: 'hook', where: 'configResolved' };
    }
  };
  differs(config, before, []);
}

/**
 * What `workers: "auto"` means here: what WEB_CONCURRENCY says, as platforms set it for a size of theirs; else one for each
 * processor that this process may use, with the quota of its container, rounded up (what Node itself tells of one:
 * docs/decisions/node-facts.md, 21).
 * @throws ClusterError ERR_CLUSTER_CONFIG
 */
export function autoWorkers(
  env: NodeJS.ProcessEnv, quota = cpuQuota(), all = processors(),
): { workers: number; counted: string } {
  const said = env.WEB_CONCURRENCY?.trim();
  if (said) {
    const workers = /^\d+$/.test(said) ? Number(said) : 0;
    if (workers >= 1 && workers <= MOST_WORKERS) return { workers, counted: 'auto: WEB_CONCURRENCY' };
    throw new ClusterError('ERR_CLUSTER_CONFIG', `WEB_CONCURRENCY: expected a whole number from 1 to ${MOST_WORKERS}, found "${said}"`);
  }
  if (quota !== null && Math.ceil(quota) < all) {
    return { workers: Math.max(1, Math.ceil(quota)), counted: `auto: a quota of ${Number(quota.toFixed(2))} processors` };
  }
  return { workers: all, counted: `auto: ${all} processor${all === 1 ? '' : 's'}` };
}
