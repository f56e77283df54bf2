import path from 'node:path';

/** Directories that hold nothing an app is made of, wherever they are, and at the top of the app. */
const ANYWHERE = new Set(['node_modules', 'bower_components']);
const AT_TOP = new Set(['logs', 'run', 'coverage']);
/** What editors, databases and systems leave beside the files. */
const LITTER = /(?:~|\.log|\.pid|\.sw[opx]|\.tmp|\.(?:sqlite3?|db)(?:-(?:wal|shm|journal))?)$|^(?:4913|#.*#|Thumbs\.db)$/;
/** Names with a dot in front that an app does use. */
const DOTTED = /^\.(?:clusterrc(?:\..+)?|env(?:\..+)?)$/;
/** What an app is written in: code, configuration, templates, schemas. Everything else is watched where it is named or loaded. */
const SOURCE = new RegExp(`^\\.(?:clusterrc|env)|\\.(?:${[
  '[cm]?[jt]sx?', 'json[5c]?', 'ya?ml', 'toml', 'ini', 'properties', 'env', 'node', 'wasm',
  'html?', 'xhtml', 'ejs', 'eta', 'pug', 'jade', 'hbs', 'handlebars', 'mustache', 'njk', 'nunjucks', 'nj', 'liquid', 'twig', 'tpl', 'tmpl',
  'dot', 'jst', 'dust', 'art', 'vue', 'svelte', 'astro', 'marko', 'mjml', 'mdx', 'xsl', 'xslt',
  'graphqls?', 'gql', 'sql', 'prisma', 'proto', 'avsc', 'coffee', 'litcoffee', 'ls', 'civet',
].join('|')})$`, 'i');

export const isSource = (name: string): boolean => SOURCE.test(name);

export interface WatchRules {
  /** The app's, absolute. */
  dir: string;
  /** What is watched, absolute. What is below the app's directory counts by its ending; what is below any other one all counts. */
  roots: readonly string[];
  /** The user's patterns. */
  ignore: readonly string[];
  /** Files that count wherever they are. */
  kept: ReadonlySet<string>;
}

/** Says which paths (absolute) are left out; `isFile` where that is known. */
export function ignoring({ dir, roots, ignore, kept }: WatchRules): (file: string, isFile?: boolean) => boolean {
  const isNamed = namedBy(dir, ignore);
  const longestFirst = [...roots].sort((a, b) => b.length - a.length);
  return (file, isFile) => {
    if (kept.has(file)) return false;
    if (isNamed(file)) return true;
    const root = longestFirst.find((one) => isBelow(file, one));
    if (root === undefined) return true;
    if (root === file) return false;
    const segments = slashed(path.relative(root, file)).split('/');
    const name = path.basename(file);
    return segments.some((segment) => ANYWHERE.has(segment) || (segment.startsWith('.') && !DOTTED.test(segment)))
      || (isBelow(dir, root) && isBelow(file, dir) && AT_TOP.has(slashed(path.relative(dir, file)).split('/')[0] as string))
      || LITTER.test(name)
      || (isFile === true && isBelow(dir, root) && !isSource(name));
  };
}

/** Says which paths the user's patterns name. */
export function namedBy(dir: string, patterns: readonly string[]): (file: string) => boolean {
  const own = patterns.map((pattern) => matcher(slashed(pattern.replaceAll('\\', '/')).replace(/^\.\//, '').replace(/\/$/, '')));
  return (file) => {
    const relative = slashed(path.relative(dir, file));
    const segments = relative.startsWith('..') ? [path.basename(file)] : relative.split('/');
    return relative !== '' && own.some((matches) => matches(relative, segments));
  };
}

const slashed = (file: string): string => file.replaceAll(path.sep, '/');

const isBelow = (file: string, dir: string): boolean => file === dir || file.startsWith(dir.endsWith(path.sep) ? dir : dir + path.sep);

type Matches = (relative: string, segments: readonly string[]) => boolean;

/** A bare name fits anywhere; a path or a pattern fits from the app's directory on, and all below it. */
function matcher(pattern: string): Matches {
  const isName = !pattern.includes('/');
  const source = pattern.split(/(\*\*\/|\*\*|\*|\?)/).map((part) => GLOB[part] ?? part.replace(/[.+^${}()|[\]\\]/g, '\\$&')).join('');
  const regexp = new RegExp(`^${source}(?:/|$)`);
  return isName ? (_, segments) => segments.some((segment) => regexp.test(segment)) : (relative) => regexp.test(relative);
}

const GLOB: Readonly<Record<string, string>> = { '**/': '(?:.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]' };
