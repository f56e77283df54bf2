import Module, { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { ClusterError } from '../errors.js';

interface Hook { register(): unknown }

/**
 * Makes sure that a TypeScript entry can be loaded: by Node itself, by a loader that was preloaded (`require`, `import`),
 * or by the app's own tsx. Throws ERR_CLUSTER_TYPESCRIPT where there is none.
 */
export async function enableTypeScript(file: string): Promise<void> {
  if ((process.features as { typescript?: unknown }).typescript || '.ts' in (Module as unknown as { _extensions: object })._extensions) return;
  const require = createRequire(file);
  let esm: string;
  let cjs: string;
  try {
    cjs = require.resolve('tsx/cjs/api');
    esm = require.resolve('tsx/esm/api');
  } catch (cause) {
    // Some other loader was asked for: Node will say whether it can.
    if (process.execArgv.some((arg) => /^(-r|--require|--import|--loader|--experimental-loader)\b/.test(arg))) return;
    throw new ClusterError('ERR_CLUSTER_TYPESCRIPT',
      `${file} is TypeScript, which Node.js ${process.version} does not run by itself: install tsx in the app (npm install tsx), or use Node.js 22.18 or newer`, { cause });
  }
  (require(cjs) as Hook).register();
  (await import(pathToFileURL(esm).href) as Hook).register();
}

export const isTypeScript = (file: string): boolean => /\.[mc]?ts$/.test(file);
