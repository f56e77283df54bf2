import { closeSync, openSync, readSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ClusterError, reason } from '../kit/errors.js';
import { isUtf16, JsonError, parseJson, UTF16 } from '../kit/json-text.js';
import { isObject, nearest } from '../kit/misuse.js';
import { placesIn } from './files.js';
import { folderOf, readPackage } from './modules.js';

/** The target before its configuration is read. */
export interface Place {
  dir: string;
  realDir: string;
  name: string;
  /** The entry file, where the target is one. */
  file?: string;
  /** Configurations in other directories that this entry file lies in: they are not read. */
  unread: string[];
  manifest: Record<string, unknown>;
  /** Names in the directory. */
  names: ReadonlySet<string>;
}

/** @throws ClusterError ERR_CLUSTER_APP_NOT_FOUND, ERR_CLUSTER_CONFIG (package.json) */
export function findPlace(target: string, cwd: string): Place {
  const full = path.resolve(cwd, target);
  try {
    const stat = statSync(full);
    const isFile = !stat.isDirectory();
    if (isFile && !stat.isFile()) throw new ClusterError('ERR_CLUSTER_APP_NOT_FOUND', `${target}: neither a directory nor a file`);
    const { dir, unread } = isFile ? directoryOf(full) : { dir: full, unread: [] };
    const names = new Set(readdirSync(dir));
    const manifest = names.has('package.json') ? readManifest(path.join(dir, 'package.json')) : {};
    const realDir = realpathSync(dir);
    const name = typeof manifest.name === 'string' && manifest.name ? manifest.name : path.basename(dir) || path.basename(realDir) || 'app';
    return { dir, realDir, name, manifest, names, unread, ...(isFile ? { file: scriptOf(full, target) } : {}) };
  } catch (error) {
    if (error instanceof ClusterError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ClusterError('ERR_CLUSTER_APP_NOT_FOUND', missing
      ? `${target}: no such directory or file${full === target ? '' : ` (${full})`}${meant(full)}`
      : `${target}: cannot be read: ${reason(error)}`);
  }
}

/** Bytes in which a script says what runs it. */
const FIRST = 4096;

/**
 * What Node is to run: the file, or the one behind a bin that pnpm or npm on Windows has written as a shell script.
 * @throws ClusterError ERR_CLUSTER_APP_NOT_FOUND: a script that is none for Node
 */
function scriptOf(file: string, target: string): string {
  if (/\.[cm]?[jt]sx?$/.test(file)) return file;
  const [, interpreter = ''] = /^#!\s*(?:\S*\/env\s+(?:-S\s*)?)?(\S+)/.exec(firstOf(file)) ?? [];
  if (interpreter === '' || /(?:^|\/)(?:node|nodejs|bun|deno|tsx|ts-node)$/.test(interpreter)) return file;
  const [, behind] = /^\s*exec node\s.*?"\$basedir\/([^"]+)" +"\$@"/m.exec(firstOf(file)) ?? [];
  if (behind !== undefined) return path.resolve(path.dirname(file), behind);
  throw new ClusterError('ERR_CLUSTER_APP_NOT_FOUND', `${target}: a script for ${path.basename(interpreter)}, which Node.js does not run`);
}

function firstOf(file: string): string {
  const descriptor = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(FIRST);
    return bytes.toString('utf8', 0, readSync(descriptor, bytes, 0, FIRST, 0));
  } finally {
    closeSync(descriptor);
  }
}

function meant(full: string): string {
  try {
    const near = nearest(path.basename(full), readdirSync(path.dirname(full)));
    return near ? `, did you mean "${near}"?` : '';
  } catch {
    return '';
  }
}

function readManifest(file: string): Record<string, unknown> {
  try {
    const bytes = readFileSync(file);
    if (isUtf16(bytes)) throw new Error(UTF16);
    const value = parseJson(bytes.toString());
    return isObject(value) ? value : {};
  } catch (error) {
    throw new ClusterError('ERR_CLUSTER_CONFIG', error instanceof JsonError
      ? `package.json:${error.line}:${error.column}: not valid JSON: ${error.message}`
      : `package.json: cannot be read: ${reason(error)}`);
  }
}

/** What a build writes, or an installation: an app is built into them, and none is at home there. */
const BUILT: ReadonlySet<string> = new Set(['dist', 'build', '.output', '.next', 'node_modules']);

/** A folder that an entry file lies in. */
interface Folder {
  dir: string;
  names: ReadonlySet<string>;
  manifest: Record<string, unknown>;
  /** It is a build's, or lies in one's. */
  built: boolean;
  /** Of a repository, or of a workspace: its packages are apps before it is one itself. */
  root: boolean;
}

/**
 * The directory of the app that an entry file belongs to, by the path as it was typed: the nearest one that has a
 * configuration; else that of the outermost package with a name below the repository, whose own comes last, or below the
 * user's home. `dist/main.js`, `bin/www` and `.next/standalone/server.js` are run where their package lies.
 */
export function directoryOf(file: string): { dir: string; unread: string[] } {
  const folders = foldersAbove(path.dirname(file));
  const [own, ...others] = folders.map((folder) => ({ folder, places: configsIn(folder) })).filter(({ places }) => places.length > 0);
  if (own) return { dir: own.folder.dir, unread: others.flatMap(({ places }) => places) };
  const dir = packageAmong(folders.filter(({ built }) => !built)) ?? packageAmong(folders) ?? packageBehind(file) ?? aboveBuild(folders);
  return { dir, unread: [] };
}

/** The file's own first, up to where nobody looks for a configuration. */
function foldersAbove(first: string): Folder[] {
  const dirs: Omit<Folder, 'built'>[] = [];
  for (let dir = first; ; dir = path.dirname(dir)) {
    const top = path.dirname(dir) === dir;
    if (dir !== first && (top || isForOthers(dir))) break;
    const names = namesIn(dir);
    const manifest = names.has('package.json') ? readPackage(dir) : {};
    const isRepository = names.has('.git');
    dirs.push({ dir, names, manifest, root: isRepository || manifest.workspaces !== undefined || names.has('pnpm-workspace.yaml') });
    if (isRepository || top || isForOthers(dir)) break;
  }
  let built = false;
  // A build folder's name above all of them tells nothing.
  return dirs.toReversed().map((folder, index) => {
    built ||= index > 0 && BUILT.has(path.basename(folder.dir));
    return { ...folder, built };
  }).toReversed();
}

/** The user's home, or a place for everybody's files such as /tmp: what lies there is no app's. */
function isForOthers(dir: string): boolean {
  const { mode = 0 } = statSync(dir, { throwIfNoEntry: false }) ?? {};
  return (mode & 0o1002) === 0o1002 || dir === process.env.HOME || dir === os.homedir();
}

/** A build may have copied the app's package.json. */
const configsIn = ({ dir, names, manifest, built }: Folder): string[] => placesIn(dir, names, built ? {} : manifest);

function packageAmong(folders: readonly Folder[]): string | undefined {
  const limit = folders.findIndex(({ root }) => root);
  const [below, roots] = limit === -1 ? [folders, []] : [folders.slice(0, limit), folders.slice(limit, limit + 1)];
  const hasName = ({ manifest }: Folder) => typeof manifest.name === 'string' && manifest.name !== '';
  const hasAny = ({ names }: Folder) => names.has('package.json');
  return [below.findLast(hasName), roots.find(hasName), below.findLast(hasAny), roots.find(hasAny)].find(Boolean)?.dir;
}

const isInstalled = (file: string): boolean => file.split(path.sep).includes('node_modules');

/** A bin that is linked to from outside of any app (`/usr/bin/http-server`): its own package's. */
function packageBehind(file: string): string | undefined {
  const real = realpathSync(file);
  return !isInstalled(file) && isInstalled(real) ? folderOf(real) : undefined;
}

/** `dist/main.js`, `.output/server/index.mjs` without a package anywhere. */
function aboveBuild(folders: readonly Folder[]): string {
  const outermost = folders.slice(0, 3).findLastIndex(({ dir }) => BUILT.has(path.basename(dir)));
  return (folders[outermost + 1] ?? folders[0] as Folder).dir;
}

function namesIn(dir: string): ReadonlySet<string> {
  try {
    return new Set(readdirSync(dir));
  } catch {
    // Nothing in it is ours to read.
    return new Set();
  }
}
