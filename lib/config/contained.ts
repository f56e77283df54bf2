import type { AsyncLocalStorage } from 'node:async_hooks';

type Refuse = (what: string) => never;

/** Who loads something now, where process.exit is called. */
let loading: AsyncLocalStorage<Refuse> | undefined;
let loads = 0;

/**
 * Runs code of the user's that the master loads. Where it would end the process, as what checks an environment does (envalid), it is
 * refused in place of the site: with this error, whether it catches what is thrown there or not. The working directory is put back.
 */
export async function contained<T>(task: () => Promise<T>): Promise<T> {
  const current = loading ??= new (process.getBuiltinModule('node:async_hooks').AsyncLocalStorage)<Refuse>();
  const { exit, abort } = process;
  const dir = workingDir();
  let refuse!: Refuse;
  const refused = new Promise<never>((_, reject) => {
    refuse = (what) => {
      const error = new Error(`it calls process.${what} while it is loaded, which would end the master: it has to throw an error`);
      reject(error);
      throw error;
    };
  });
  refused.catch(() => {});
  if (loads++ === 0) {
    process.exit = (code) => current.getStore()?.(`exit(${code ?? ''})`) ?? exit.call(process, code);
    process.abort = () => current.getStore()?.('abort()') ?? abort.call(process);
    restore = () => Object.assign(process, { exit, abort });
  }
  try {
    return await Promise.race([refused, current.run(refuse, task)]);
  } finally {
    if (--loads === 0) {
      restore();
      // It slows promises down on Node 20 and 22.
      current.disable();
    }
    if (dir !== undefined && workingDir() !== dir) process.chdir(dir);
  }
}

let restore: () => void = () => {};

/** Undefined: somebody has deleted it. */
function workingDir(): string | undefined {
  try {
    return process.cwd();
  } catch {
    return undefined;
  }
}
