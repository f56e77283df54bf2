import { X509Certificate, createPrivateKey } from 'node:crypto';
import { accessSync, constants, readFileSync, readdirSync, statSync, statfsSync } from 'node:fs';
import path from 'node:path';
import { loadConfig, type LoadRequest, type LoadedConfig } from '../../lib/config/load.js';
import { folderOf, packageFolder, readPackage, resolveModule } from '../../lib/config/modules.js';
import { pluginDefaults } from '../../lib/config/schema.js';
import { isAlive, readRecord } from '../../lib/control/registry.js';
import { messageOf, reason } from '../../lib/kit/errors.js';
import { isOwnDirectory, placesToWrite } from '../../lib/kit/own-places.js';
import { Bootstrap } from '../../lib/master/bootstrap.js';
import { listeningPorts } from '../../plugins/health-check/process-facts.js';
import { portFault } from '../free-port.js';
import { isInUse, wants } from '../rehearse.js';
import type { AppFacts, CertificateFacts, PlaceFacts, PortFacts } from './facts.js';

/** Loaded for who asks. */
async function satisfies(version: string, range: string): Promise<boolean> {
  const { default: fits } = await import('semver/functions/satisfies.js');
  return fits(version, range, { includePrerelease: true });
}

/** What plugins make of the configuration may take so long, ms. */
const PATIENCE = 15_000;

/** A configuration as a start would have it; what is wrong with it is told, and the rest is looked at all the same. */
export async function read(request: LoadRequest): Promise<{ loaded: LoadedConfig | null; mistakes: string[] }> {
  let loaded: LoadedConfig | null = null;
  try {
    loaded = await loadConfig(request);
    const bootstrap = new Bootstrap(loaded, { dry: true });
    bootstrap.logger.level = 'silent';
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`plugins were not applied within ${PATIENCE / 1_000} s`)), PATIENCE);
    });
    await Promise.race([bootstrap.prepare(), late]).catch((error: unknown) => { if (!isInUse(error)) throw error; })
      .finally(() => clearTimeout(timer));
    return { loaded: bootstrap.loaded, mistakes: [] };
  } catch (error) {
    return { loaded, mistakes: messageOf(error).split('\n') };
  }
}

/** The app and its plugins, with their versions. */
export async function appFacts({ target: { dir, realDir, name }, config }: LoadedConfig): Promise<AppFacts> {
  const manifest = readPackage(realDir);
  const range = (manifest.engines as { node?: unknown } | undefined)?.node;
  const folder = packageFolder('hatchery', realDir);
  const builtIn = new Set(Object.keys(pluginDefaults('start')));
  return {
    name, dir,
    version: text(manifest.version),
    engines: typeof range === 'string' ? { range, fits: await satisfies(process.version, range) } : null,
    installed: folder === undefined ? null : text(readPackage(folder).version),
    plugins: Object.entries(config.plugins).filter(([, value]) => value !== false).map(([key]) => ({
      name: key, ours: builtIn.has(key), version: builtIn.has(key) ? null : versionOf(key, realDir),
    })),
  };
}

const text = (value: unknown): string | null => typeof value === 'string' ? value : null;

function versionOf(plugin: string, dir: string): string | null {
  const file = resolveModule(plugin, dir);
  const folder = file === undefined ? undefined : folderOf(file);
  return folder === undefined || folder === dir ? null : text(readPackage(folder).version);
}

/** Every address that a start wants, listened on for a moment; those that the running instance itself has are not asked for. */
export async function portFacts(loaded: LoadedConfig, own: readonly number[]): Promise<PortFacts[]> {
  const { listen, ports } = wants(loaded);
  const all = loaded.config.server ? [listen, ...ports] : ports;
  return Promise.all(all.map(async (wanted): Promise<PortFacts> => {
    const { port, host, path: socket, where } = wanted;
    const at = socket ?? (host === undefined ? `port ${port}` : `${host.includes(':') ? `[${host}]` : host}:${port}`);
    const isOwn = own.length > 0 && (socket !== undefined || own.includes(port ?? 0));
    if (port === 0 || isOwn) return { where, at, own: isOwn, code: null, holder: null };
    const code = socket === undefined ? await portFault({ port: port ?? 0, host }) : socketFault(socket);
    return { where, at, own: false, code, holder: code === 'EADDRINUSE' ? await holderOf(port ?? 0) : null };
  }));
}

function socketFault(file: string): string | null {
  try {
    accessSync(path.dirname(file), constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'EACCES';
  }
}

/** `node server.js (pid 12)`, where the system tells (Linux, and the process is ours). */
async function holderOf(port: number): Promise<string | null> {
  for (const pid of pidsOf()) {
    if (!(await listeningPorts(pid)).includes(port)) continue;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return `${command.slice(0, 80)} (pid ${pid})`;
  }
  return null;
}

function pidsOf(): number[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
  } catch {
    return [];
  }
}

/** Records, sockets, logs, and who may write what is run. */
export async function placeFacts(loaded: LoadedConfig | null, logs: { file: string; failure: string | null } | null): Promise<PlaceFacts> {
  const places = placesToWrite();
  const there = places.filter((dir) => statSync(dir, { throwIfNoEntry: false }));
  const files = there.filter(isOwnDirectory).flatMap((dir) =>
    readdirSync(dir).filter((name) => /^[0-9a-z]{16}\.json$/.test(name)).map((name) => path.join(dir, name)));
  const records = await Promise.all(files.map(async (file) => {
    const record = readRecord(file);
    return { file, known: record !== null, alive: record !== null && await isAlive(record) };
  }));
  const entry = loaded?.target.entry;
  return {
    unsafe: there.filter((dir) => !isOwnDirectory(dir)),
    none: places.some(canHave) ? null : `none of ${places.join(', ')} can be written`,
    stale: records.filter(({ known, alive }) => known && !alive).map(({ file }) => file),
    unreadable: records.filter(({ known }) => !known).map(({ file }) => file),
    logs: logs?.failure ?? null,
    free: logs === null ? null : freeAt(path.dirname(logs.file)),
    open: [...(loaded?.files ?? []), ...[entry?.app, entry?.agent].filter((file) => typeof file === 'string')].filter(isOpen),
    hidden: [entry?.app, entry?.agent].flatMap((file) => typeof file === 'string' && !isReadable(file) ? [file] : []),
  };
}

/** Made, or to be made in what is there. */
function canHave(dir: string): boolean {
  const there = statSync(dir, { throwIfNoEntry: false });
  if (there && !isOwnDirectory(dir)) return false;
  try {
    accessSync(there ? dir : path.dirname(dir), constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

const isOpen = (file: string): boolean =>
  process.platform !== 'win32' && ((statSync(file, { throwIfNoEntry: false })?.mode ?? 0) & 0o002) !== 0;

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** Where a directory is not there yet, that of the one above it. */
function freeAt(dir: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(statSync(dir, { throwIfNoEntry: false }) ? dir : path.dirname(dir));
    return bavail * bsize;
  } catch {
    return null;
  }
}

/** Whether a log can be written there, without writing one: nothing is made by who only looks. */
export function logFault(file: string): string | null {
  const dirs = [path.dirname(file), path.dirname(path.dirname(file))];
  const dir = dirs.find((one) => statSync(one, { throwIfNoEntry: false }));
  if (dir === undefined) return `${dirs[1]}: there is no such directory`;
  try {
    accessSync(statSync(file, { throwIfNoEntry: false }) ? file : dir, constants.W_OK);
    return null;
  } catch (error) {
    return `${file}: ${reason(error)}`;
  }
}

export function certificateFacts({ config: { https } }: LoadedConfig): CertificateFacts | null {
  if (!https) return null;
  try {
    const certificate = new X509Certificate(readFileSync(https.cert));
    const key = createPrivateKey(readFileSync(https.key));
    return { file: https.cert, until: Date.parse(certificate.validTo), fits: certificate.checkPrivateKey(key) };
  } catch {
    return { file: https.cert, until: 0, fits: false };
  }
}
