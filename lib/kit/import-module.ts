/**
 * Imports a module of the user's. In dist/ this is a file of its own: V8 forgets how to import in code that it kept compiled
 * (compiled.ts), so the core and the runtime have no import() in them.
 */
export const importModule = (url: string): Promise<unknown> => import(url);
