/**
 * The only reasons for which a test may be skipped, each as the `skip` of a test. A run prints and counts them; a test that
 * is skipped for anything else fails it (test/run.ts).
 */
export const unsuited = {
  linux: 'needs Linux',
  root: 'needs root, to be another user',
  reusePort: 'this Node has no reusePort',
  cgroup: 'needs control groups of version 1 that can be written',
  namespaces: 'no network namespaces can be made',
  registerHooks: 'this Node has no module.registerHooks',
  typeScript: 'this Node runs no TypeScript itself',
  noTypeScript: 'this Node runs TypeScript itself',
} as const;

/** What .ci/run installs: there the lack of it fails the run. */
export const missing = {
  chromium: 'Chromium is not installed',
  nginx: 'nginx is not installed',
  haproxy: 'HAProxy is not installed',
  redis: 'redis-server is not installed',
  python: 'python3 is not installed',
  systemd: 'systemd-notify is not installed',
} as const;

const everywhere = new Set<unknown>(Object.values(unsuited));
const installable = new Set<unknown>(Object.values(missing));

/** Why this reason is none. */
export function refusal(reason: unknown, ci: boolean): string | undefined {
  if (everywhere.has(reason)) return undefined;
  if (!installable.has(reason)) return 'not on the list of test/helpers/skips.ts';
  return ci ? '.ci/run installs it' : undefined;
}
