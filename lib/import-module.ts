/**
 * Imports a module of the user's. In dist/ this is a file of its own: V8 forgets how to import in code that it kept compiled
 * (bin/compiled.ts), so the core has no import() in it.
 */
export const importModule = (url: string): Promise<unknown> => import(url);
