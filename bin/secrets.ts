/** Stands for what is not shown. */
const MASK = '***';

/** Names whose value is nobody's business; `key` alone is a file (https.key), or the name of a cookie. */
const SECRET = /secret|passw|passphrase|passcode|\bpwd\b|token|credential|jwt|dsn|salt|(?:api|private|access|signing|encryption)[-_]?key/i;
/** The same among variables of an environment, whose names are short. */
const SECRET_VARIABLE = /(?:^|_)(?:KEY|PASS|PW|PWD|PAT|AUTH|COOKIE|CERT)(?:$|_)/i;
/** `--db-password=x` among arguments. */
const ARGUMENT = /^(--?[\w.-]*(?:secret|passw|token|credential|key)[\w.-]*=).+$/is;
/** The same with the value as the next one. */
const NAMES_NEXT = /^--?[\w.-]*(?:secret|passw|token|credential|key)[\w.-]*$/i;
/** `redis://user:password@host`, also in the middle of a text. */
const IN_URL = /([a-z][\w+.-]*:\/\/[^\s:@/]*):[^\s@/]+@/gi;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;

/**
 * A value of the configuration as it may be shown on a screen, in an issue or in a log of CI: what looks like a secret is
 * masked, by its name or by what is in it.
 */
export function masked(value: unknown, path: readonly (string | number)[] = []): unknown {
  if (Array.isArray(value)) return value.map((one, index, all) => follows(all[index - 1], one) ? MASK : masked(one, [...path, index]));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, masked(inner, [...path, key])]));
  }
  if (typeof value !== 'string' && typeof value !== 'number') return value;
  // The name of a plugin may be a path, and is no name of a value.
  const names = path[0] === 'plugins' ? path.slice(2) : path;
  if (names.some((key) => isSecret(key, path[0] === 'env'))) return MASK;
  if (typeof value === 'number') return value;
  if (PRIVATE_KEY.test(value)) return MASK;
  return value.replace(ARGUMENT, `$1${MASK}`).replace(IN_URL, `$1:${MASK}@`);
}

const follows = (before: unknown, value: unknown): boolean =>
  typeof before === 'string' && NAMES_NEXT.test(before) && typeof value === 'string' && !value.startsWith('-');

const isSecret = (key: string | number, isVariable: boolean): boolean =>
  typeof key === 'string' && (SECRET.test(key) || (isVariable && SECRET_VARIABLE.test(key)));
