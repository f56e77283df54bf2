import { isSecret, pathText, type Path } from '../lib/config/check.js';
import type { Provenance } from '../lib/config/provenance.js';

/** Stands for what is not shown. */
const MASK = '***';

/** `--db-password=x` among arguments. */
const ARGUMENT = /^(--?[\w.-]*(?:secret|passw|token|credential|key)[\w.-]*=).+$/is;
/** The same with the value as the next one. */
const NAMES_NEXT = /^--?[\w.-]*(?:secret|passw|token|credential|key)[\w.-]*$/i;
/** `redis://user:password@host`, also in the middle of a text. */
const IN_URL = /([a-z][\w+.-]*:\/\/[^\s:@/]*):[^\s@/]+@/gi;
/** `password=x` in a connection string or a query, `Authorization: Bearer x` in a text. */
const IN_TEXT = /((?:passw(?:or)?d|passphrase|pwd|token|secret|api[-_]?key|authorization)\s*[=:]\s*(?:(?:Bearer|Basic)\s+)?)[^\s&;,'"]+/gi;
/** What its beginning gives away: Stripe, AWS, Slack, GitHub, GitLab, npm, Google, OpenAI, a JSON web token. */
const KNOWN = new RegExp(['[sr]k_(?:live|test)_\\w{6,}', '\\b(?:AKIA|ASIA)[A-Z0-9]{12,}', '\\bxox[a-z]-[\\w-]{6,}', '\\bgh[opsur]_\\w{6,}',
  '\\bgithub_pat_\\w{6,}', '\\bglpat-[\\w-]{6,}', '\\bnpm_\\w{20,}', '\\bAIza[\\w-]{20,}', '\\bsk-[\\w-]{16,}',
  '\\beyJ[\\w-]+\\.[\\w-]+\\.[\\w-]*', '(?<=hooks\\.slack\\.com/services/)\\S+'].join('|'), 'g');
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;

/**
 * A value of the configuration as it may be shown on a screen, in an issue or in a log of CI: what looks like a secret is
 * masked, by its name or by what is in it.
 */
export function masked(value: unknown, path: Path = [], named: (path: Path) => boolean = () => false): unknown {
  if (Array.isArray(value)) {
    return value.map((one, index, all) => follows(all[index - 1], one) ? MASK : masked(one, [...path, index], named));
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, masked(inner, [...path, key], named)]));
  }
  if (typeof value !== 'string' && typeof value !== 'number') return value;
  // The name of a plugin may be a path, and is no name of a value.
  const names = path[0] === 'plugins' ? path.slice(2) : path;
  if (isSecret(names, path[0] === 'env') || named(path)) return MASK;
  if (typeof value === 'number') return value;
  if (PRIVATE_KEY.test(value)) return MASK;
  return value.replace(ARGUMENT, `$1${MASK}`).replace(IN_URL, `$1:${MASK}@`).replace(IN_TEXT, `$1${MASK}`).replace(KNOWN, MASK);
}

/** Tells of values that were filled in from a variable with the name of a secret. */
export const namedSecretIn = (provenance: Provenance) => (path: Path): boolean =>
  [path, path.slice(0, -1)].flatMap((at) => [...provenance[pathText(at)]?.written?.matchAll(/\$\{(\w+)/g) ?? []])
    .some(([, name = '']) => isSecret([name], true));

const follows = (before: unknown, value: unknown): boolean =>
  typeof before === 'string' && NAMES_NEXT.test(before) && typeof value === 'string' && !value.startsWith('-');
