import assert from 'node:assert/strict';
import test from 'node:test';
import { defineConfig, definePlugin, type ConfigInput } from '../../lib/index.js';
// The published declarations load it by themselves.
import type {} from '../../plugins/options.js';

/**
 * `npm run typecheck` is the test: each line below an expected error must be one, and nothing else may be. What is defined
 * here is never loaded.
 */
interface DeclaredByAnInterface { limit?: number }

declare module '../../lib/index.js' {
  interface PluginOptions {
    'typetest-declared': DeclaredByAnInterface;
  }
}

const plugin = definePlugin<{ limit: number }>({ name: 'object', apply: (bootstrap, { limit }) => void [bootstrap, limit.toFixed()] });
class ByClass {
  name = 'class';

  apply(): void {}
}

/** Inputs, not outputs: a size may be a text, and what has a default may be left out. */
export const right: ConfigInput[] = [
  defineConfig({
    plugins: {
      'graceful-exit': { timeout: 20_000 },
      'health-check': { maxRss: '512MB', hangTimeout: false },
      'sticky-session': { mode: 'request', key: { cookie: 'sid' }, issue: { path: '/' } },
      'dev-reload': { watch: ['lib'], serveWhileReloading: 'old' },
      metrics: { port: 9100 },
      systemd: {},
      'typetest-declared': { limit: 1 },
    },
  }),
  defineConfig({ plugins: { 'graceful-exit': false, metrics: true, systemd: false, 'typetest-declared': true } }),
  defineConfig({ plugins: { './mine.js': { a: [1] }, 'some-package': true, other: false } }),
  defineConfig({ plugins: { one: plugin, two: ByClass, three: new ByClass(), 'graceful-exit': plugin } }),
  defineConfig({ plugins: [plugin, ByClass, new ByClass(), [plugin, { limit: 1 }], [ByClass, {}]] }),
  defineConfig({ profiles: { production: { plugins: { 'graceful-exit': { timeout: 1 }, one: plugin } } } }),
];

/** What `apply` is handed is known without a word. */
export const inPlace: ConfigInput[] = [
  defineConfig({ plugins: [{ name: 'a', apply: (master) => master.hooks.beforeStart.tap('a', (config) => void config.port) }] }),
  defineConfig({ plugins: { a: { name: 'a', engines: { node: '>=20' }, apply: (master) => void master.hooks } } }),
  // @ts-expect-error no such hook
  defineConfig({ plugins: [{ name: 'a', apply: (master) => void master.hooks.beforeLunch }] }),
];

export const wrong: unknown[] = [
  // @ts-expect-error a text in place of milliseconds
  defineConfig({ plugins: { 'graceful-exit': { timeout: '20s' } } }),
  // @ts-expect-error no such option
  defineConfig({ plugins: { 'graceful-exit': { timeOut: 20_000 } } }),
  // @ts-expect-error no such option beside one that is right
  defineConfig({ plugins: { 'health-check': { port: 1, maxRSS: 1 } } }),
  // @ts-expect-error neither "connection" nor "request"
  defineConfig({ plugins: { 'sticky-session': { mode: 'cookie' } } }),
  // @ts-expect-error a key has one of three forms
  defineConfig({ plugins: { 'sticky-session': { mode: 'request', key: { cooky: 'sid' } } } }),
  // @ts-expect-error a list of texts
  defineConfig({ plugins: { 'dev-reload': { watch: 'lib' } } }),
  // @ts-expect-error neither true, false nor options
  defineConfig({ plugins: { metrics: 9100 } }),
  // @ts-expect-error it has no options
  defineConfig({ plugins: { systemd: { notify: true } } }),
  // @ts-expect-error declared as a number
  defineConfig({ plugins: { 'typetest-declared': { limit: '1' } } }),
  // @ts-expect-error not declared
  defineConfig({ plugins: { 'typetest-declared': { limits: 1 } } }),
  // @ts-expect-error neither true, false, options nor a plugin
  defineConfig({ plugins: { 'some-package': 'yes' } }),
  // @ts-expect-error a plugin's options are an object
  defineConfig({ plugins: { 'some-package': [1] } }),
  // @ts-expect-error a name is no plugin
  defineConfig({ plugins: ['metrics'] }),
  // @ts-expect-error a plugin without `apply`
  defineConfig({ plugins: [{ name: 'a' }] }),
  // @ts-expect-error the same in a profile
  defineConfig({ profiles: { production: { plugins: { 'graceful-exit': { timeOut: 1 } } } } }),
  // @ts-expect-error no such key
  defineConfig({ plugin: {} }),
];

test('the types hold (npm run typecheck)', () => {
  assert.equal(right.length, 6);
});
