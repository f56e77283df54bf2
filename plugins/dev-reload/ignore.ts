import path from 'node:path';

/** Directories that hold nothing an app is made of. */
const DIRECTORIES = new Set(['node_modules', 'bower_components', 'logs', 'run', 'coverage']);
/** What editors, databases and systems leave beside the files. */
const LITTER = /(?:~|\.log|\.pid|\.sw[opx]|\.tmp|\.(?:sqlite3?|db)(?:-(?:wal|shm|journal))?)$|^(?:4913|#.*#|Thumbs\.db)$/;
/** Names with a dot in front that an app does use. */
const DOTTED = /^\.(?:clusterrc(?:\..+)?|env(?:\..+)?)$/;

/** Says which paths (absolute) are left out. `kept` are files that count wherever they are. */
export function ignoring(dir: string, patterns: readonly string[], kept: ReadonlySet<string>): (file: string) => boolean {
  const own = patterns.map((pattern) => matcher(pattern.replaceAll('\\', '/').replace(/^\.\//, '').replace(/\/$/, '')));
  return (file) => {
    if (kept.has(file)) return false;
    const relative = path.relative(dir, file).replaceAll(path.sep, '/');
    if (relative === '') return false;
    const name = path.basename(file);
    const segments = relative.startsWith('..') ? [name] : relative.split('/');
    return segments.some((segment) => DIRECTORIES.has(segment) || (segment.startsWith('.') && segment !== '..' && !DOTTED.test(segment)))
      || LITTER.test(name)
      || own.some((matches) => matches(relative, segments));
  };
}

type Matches = (relative: string, segments: readonly string[]) => boolean;

/** A bare name fits anywhere; a path or a pattern fits from the app's directory on, and all below it. */
function matcher(pattern: string): Matches {
  const isName = !pattern.includes('/');
  const source = pattern.split(/(\*\*\/|\*\*|\*|\?)/).map((part) => GLOB[part] ?? part.replace(/[.+^${}()|[\]\\]/g, '\\$&')).join('');
  const regexp = new RegExp(`^${source}(?:/|$)`);
  return isName ? (_, segments) => segments.some((segment) => regexp.test(segment)) : (relative) => regexp.test(relative);
}

const GLOB: Readonly<Record<string, string>> = { '**/': '(?:.*/)?', '**': '.*', '*': '[^/]*', '?': '[^/]' };
