/** Parts of plugins that are bundled with the runtime, by their file under plugins/ in dist: the build puts them in. */
export const bundledParts: Readonly<Record<string, () => unknown>> = {};
