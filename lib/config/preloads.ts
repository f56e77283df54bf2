import { createRequire, isBuiltin } from 'node:module';
import path from 'node:path';
import type { Path } from './check.js';
import { isFile, isPath, packageFolder } from './resolve-module.js';
import type { Config } from './schema.js';

/**
 * A line for each module of `require` and `import` that is not there; each child would end with Node's own stack. Only what
 * is certain: a package that is there may resolve in ways that Node alone knows.
 */
export function missingPreloads(config: Config, dir: string, source: (at: Path) => string): string[] {
  return (['require', 'import'] as const).flatMap((key) => config[key].filter((specifier) => !isThere(specifier, dir, key)).map((specifier) =>
    `${source([key])}: ${isPath(specifier) ? `no such file: ${specifier}` : `package "${specifier}" cannot be found from ${dir}: is it installed?`}`));
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
