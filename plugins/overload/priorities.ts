/** How much longer than an ordinary request one may have waited when others are shed: the lowest go first. */
export const PRIORITIES = { low: 0.5, normal: 1, high: 2, never: Infinity } as const;

/** `never`: it is never shed. */
export type Priority = keyof typeof PRIORITIES;

/** Of a request that a rule is for; what it does not say may be anything. */
export interface Rule {
  /** As it stands in the request, without the query; with `*` at its end all that begin so. */
  path?: string | undefined;
  method?: string | readonly string[] | undefined;
  priority: Priority;
}

const SCHEME = /^[a-z][a-z\d+.-]*:\/\/[^/?]*/i;

/** The path of a request's target, which a proxy may have been sent with a host (`GET http://host/path`). */
export function pathOf(target: string): string {
  const path = target.startsWith('/') ? target : target.replace(SCHEME, '');
  const end = path.search(/[?#]/);
  return (end < 0 ? path : path.slice(0, end)) || '/';
}

const isPath = (wanted: string, path: string): boolean =>
  wanted.endsWith('*') ? path.startsWith(wanted.slice(0, -1)) : path === wanted;

/** Which priority a request has: that of the first rule that is for it. `never`: paths of health checks. */
export class Priorities {
  readonly #never: readonly string[];
  readonly #rules: readonly Rule[];

  constructor({ never, rules }: { never: readonly string[]; rules: readonly Rule[] }) {
    this.#never = never;
    this.#rules = rules.map((rule) => ({ ...rule, method: rule.method === undefined ? undefined : [rule.method].flat() }));
  }

  of(method: string, target: string): Priority {
    const path = pathOf(target);
    if (this.#never.some((wanted) => isPath(wanted, path))) return 'never';
    const rule = this.#rules.find((one) => (one.path === undefined || isPath(one.path, path))
      && (one.method === undefined || one.method.includes(method)));
    return rule?.priority ?? 'normal';
  }
}
