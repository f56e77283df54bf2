import vm from 'node:vm';

/**
 * Imports a module of the user's. In dist/ this is a file of its own: V8 forgets how to import in code that it kept compiled
 * (compiled.ts), so the core and the runtime have no import() in them. In a sandbox such as jest's there is none either: what is
 * imported then is what the process itself would get.
 */
export const importModule = (url: string): Promise<unknown> => sandboxed() ? outside(url) : import(url);

const sandboxed = (): boolean => vm.runInThisContext('globalThis') !== globalThis;

const outside = (url: string): Promise<unknown> => {
  const { USE_MAIN_CONTEXT_DEFAULT_LOADER: importModuleDynamically } = vm.constants;
  return (new vm.Script('(url) => import(url)', { importModuleDynamically }).runInThisContext() as typeof outside)(url);
};
