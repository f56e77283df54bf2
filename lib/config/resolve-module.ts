import { readFileSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { isObject } from './check.js';

export const isFile = (file: string): boolean => statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
export const isDirectory = (dir: string): boolean => statSync(dir, { throwIfNoEntry: false })?.isDirectory() ?? false;
export const isPath = (specifier: string): boolean => /^\.{1,2}(?:[\\/]|$)/.test(specifier) || path.isAbsolute(specifier);

/** The folder of an installed package, looked for as Node does, from `from` upwards. Own walk, as `exports` may hide package.json. */
export function packageFolder(name: string, from: string): string | undefined {
  for (let dir = from; ; dir = path.dirname(dir)) {
    const folder = path.join(dir, 'node_modules', name);
    if (isDirectory(folder)) return realpathSync(folder);
    if (path.dirname(dir) === dir) return undefined;
  }
}

export function readPackage(dir: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(path.join(dir, 'package.json'), 'utf8'));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** The folder that holds the package.json a file belongs to. */
export function folderOf(file: string): string {
  let dir = path.dirname(file);
  while (!isFile(path.join(dir, 'package.json')) && path.dirname(dir) !== dir) dir = path.dirname(dir);
  return dir;
}

/**
 * The file behind a path (with or without extension, or a folder) or a package name, as a module in `dir` would get it.
 * Own walk before Node's, which remembers what it resolved: a reload has to follow a link that points elsewhere now.
 */
export function resolveModule(specifier: string, dir: string): string | undefined {
  const kinds: Kind[] = readPackage(dir).type === 'module' ? ['import', 'require'] : ['require', 'import'];
  const attempts = isPath(specifier)
    ? [() => resolvePath(path.resolve(dir, specifier))]
    : [...kinds.map((kind) => () => resolveInstalled(specifier, dir, kind)), () => createRequire(path.join(realpathSync(dir), 'noop.js')).resolve(specifier)];
  for (const attempt of attempts) {
    try {
      const file = attempt();
      if (file) return realpathSync(file);
    } catch {
      // Not this way.
    }
  }
  return undefined;
}

const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs', '.cjs'];

/** A path as it stands, with an extension, or the main module of a folder. */
export function resolvePath(target: string): string | undefined {
  const file = [target, ...EXTENSIONS.map((extension) => target + extension)].find(isFile);
  if (file || !isDirectory(target)) return file;
  const { main } = readPackage(target);
  const inside = typeof main === 'string' ? resolvePath(path.join(target, main)) : undefined;
  return inside ?? EXTENSIONS.map((extension) => path.join(target, `index${extension}`)).find(isFile);
}

type Kind = 'import' | 'require';

/** What an installed package gives for `name` or `name/inside`. */
export function resolveInstalled(specifier: string, dir: string, kind: Kind): string | undefined {
  const [, name, rest = ''] = /^(@[^/]+\/[^/]+|[^/]+)(\/.+)?$/.exec(specifier) ?? [];
  const folder = name && packageFolder(name, dir);
  if (!folder) return undefined;
  const { exports } = readPackage(folder);
  if (exports === undefined) return resolvePath(path.join(folder, rest));
  const map = isObject(exports) && Object.keys(exports).some((key) => key.startsWith('.')) ? exports[`.${rest}`] : rest ? undefined : exports;
  const target = chosen(map, kind);
  return target && path.join(folder, target);
}

/** The first of conditional exports that holds here. */
function chosen(value: unknown, kind: Kind): string | undefined {
  if (typeof value === 'string') return value;
  const options = Array.isArray(value) ? value as unknown[]
    : isObject(value) ? Object.entries(value).filter(([key]) => ['node', 'module-sync', 'default', kind].includes(key)).map(([, inner]) => inner)
      : [];
  return options.map((option) => chosen(option, kind)).find(Boolean);
}
