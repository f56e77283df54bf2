import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

/** The package's own folder. Looked for upwards, because a bundle's chunk lies deeper than the source it came from. */
export const packageRoot: string = (() => {
  let dir = import.meta.dirname;
  while (!existsSync(path.join(dir, 'package.json'))) dir = path.dirname(dir);
  return dir;
})();

/** A file of the built package, such as `lib/child/worker-main.cjs`. */
export const built = (file: string): string => path.join(packageRoot, 'dist', file);

/** The package's own version. */
export const ownVersion = (): string =>
  (JSON.parse(readFileSync(path.join(packageRoot, 'package.json'), 'utf8')) as { version: string }).version;

let whereBuilt = () => packageRoot;

/** A running master holds what may be gone from the package's own folder (lib/master/installation.ts). */
export const setWhereBuilt = (where: () => string): void => { whereBuilt = where; };

/** What a built file such as `vendor/ws.cjs` exports, also when its folder was deleted under a running master (build.mjs calls it). */
export const requireBuilt = (file: string): unknown =>
  createRequire(`${packageRoot}/`)(path.join(whereBuilt(), 'dist', file));
