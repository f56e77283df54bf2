/**
 * Parts of plugins that are bundled with the runtime, by their file under plugins/ in dist. The build puts them in, in place of
 * this file: lib knows no plugin, and every child would read four files more at its start.
 */
export const bundledParts: Readonly<Record<string, () => unknown>> = {};
