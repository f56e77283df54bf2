import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import path from 'node:path';
import { ClusterError } from '../kit/errors.js';
import { nearest } from '../kit/nearest.js';
import { isObject } from './check.js';
import type { ResolvedEntry } from './entry.js';
import { JsonError, parseJson } from './json-text.js';

export interface Target {
  /** Absolute, as the user wrote it: symbolic links are kept, so that a reload follows them anew. */
  dir: string;
  /** `dir` as it resolves now. */
  realDir: string;
  /** Working directory of the children: the directory; for an entry file the one that it was started in, as with `node file`. */
  cwd: string;
  /** Package name, else the directory's name. */
  name: string;
  entry: ResolvedEntry;
}

/** The target before its configuration is read. */
export interface Place {
  dir: string;
  realDir: string;
  name: string;
  /** The entry file, where the target is one. */
  file?: string;
  manifest: Record<string, unknown>;
  /** Names in the directory. */
  names: ReadonlySet<string>;
}

const logicalDirs = new Map<string, string>();

/**
 * The working directory as the shell shows it, symbolic links kept. Remembered at the first call: once a link such as
 * `current` points elsewhere, $PWD no longer agrees with the directory that the process is in.
 */
export function logicalCwd(): string {
  const cwd = process.cwd();
  let logical = logicalDirs.get(cwd);
  if (!logical) {
    const { PWD } = process.env;
    logical = PWD && path.isAbsolute(PWD) && sameDirectory(PWD, cwd) ? PWD : cwd;
    logicalDirs.set(cwd, logical);
  }
  return logical;
}

function sameDirectory(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false;
  }
}

const reasons: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ENOENT: 'there is no such file',
  ENOTDIR: 'a part of the path is not a directory',
  ELOOP: 'too many symbolic links',
};

/** A system error in words. */
export function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return (code && reasons[code]) ?? message;
}

/** @throws ClusterError ERR_CLUSTER_APP_NOT_FOUND, ERR_CLUSTER_CONFIG (package.json) */
export function findPlace(target: string, cwd: string): Place {
  const full = path.resolve(cwd, target);
  try {
    const stat = statSync(full);
    const isFile = !stat.isDirectory();
    if (isFile && !stat.isFile()) throw new ClusterError('ERR_CLUSTER_APP_NOT_FOUND', `${target}: neither a directory nor a file`);
    const dir = isFile ? path.dirname(full) : full;
    const names = new Set(readdirSync(dir));
    const manifest = names.has('package.json') ? readManifest(path.join(dir, 'package.json')) : {};
    const realDir = realpathSync(dir);
    const name = typeof manifest.name === 'string' && manifest.name ? manifest.name : path.basename(dir) || path.basename(realDir) || 'app';
    return { dir, realDir, name, manifest, names, ...(isFile ? { file: full } : {}) };
  } catch (error) {
    if (error instanceof ClusterError) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new ClusterError('ERR_CLUSTER_APP_NOT_FOUND', missing
      ? `${target}: no such directory or file${full === target ? '' : ` (${full})`}${meant(full)}`
      : `${target}: cannot be read: ${reason(error)}`);
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
    const value = parseJson(readFileSync(file, 'utf8'));
    return isObject(value) ? value : {};
  } catch (error) {
    throw new ClusterError('ERR_CLUSTER_CONFIG', error instanceof JsonError
      ? `package.json:${error.line}:${error.column}: not valid JSON: ${error.message}`
      : `package.json: cannot be read: ${reason(error)}`);
  }
}
