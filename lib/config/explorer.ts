import { cosmiconfig, defaultLoaders } from 'cosmiconfig';
import { show } from './check.js';
import { freshImport } from './fresh-import.js';
import { parseJson } from './json-text.js';
import { CODE, SEARCH_PLACES } from './read-file.js';

const yaml = (file: string, content: string): unknown => defaultLoaders['.yaml'](file, content);

/** cosmiconfig writes on what was thrown, so it has to be an object. */
const code = (file: string): Promise<unknown> => freshImport(file).catch((error: unknown) => {
  throw error instanceof Error ? error : new Error(`it threw ${show(error)}`);
});

/** JSON or YAML; of a text that looks like JSON (with a comment, perhaps) and is neither, the JSON message is the helpful one. */
function jsonOrYaml(file: string, content: string): unknown {
  if (!/^[{/]/.test(content.trimStart())) return yaml(file, content);
  try {
    return parseJson(content);
  } catch (error) {
    try {
      return yaml(file, content);
    } catch {
      throw error;
    }
  }
}

/**
 * By itself cosmiconfig looks for settings of its own in the working directory: it would run the app's `.config/config.js`
 * in the master, and trip over a package.json that has nothing to do with us. It is shown a directory that has none.
 */
function elsewhere<T>(make: () => T): T {
  const { cwd } = process;
  process.cwd = () => import.meta.dirname;
  try {
    return make();
  } finally {
    process.cwd = cwd;
  }
}

let made: ReturnType<typeof cosmiconfig> | undefined;

/** cosmiconfig with loaders that read anew at each call and tell where a text is malformed. */
export const explorer = (): ReturnType<typeof cosmiconfig> => made ??= elsewhere(() => cosmiconfig('cluster', {
  cache: false,
  searchStrategy: 'none',
  searchPlaces: [...SEARCH_PLACES],
  loaders: {
    ...Object.fromEntries(CODE.map((extension) => [extension, code])),
    '.json': (_file, content) => parseJson(content),
    noExt: jsonOrYaml,
  },
}));
