/** What `framework plugin new` is told. */
export interface PluginWish {
  /** Name of the package, and of the plugin. */
  name: string;
  /** In TypeScript. */
  ts: boolean;
  /** Version of hatchery. */
  version: string;
  /** This Node.js runs TypeScript by itself. */
  strips: boolean;
}

/** The files of a new plugin, by name. */
export function pluginFiles(wish: PluginWish): Record<string, string> {
  const { ts } = wish;
  const end = ts ? 'ts' : 'js';
  const source = ts ? 'src/' : '';
  return {
    'package.json': `${JSON.stringify(manifest(wish), null, 2)}\n`,
    ...ts ? { 'tsconfig.json': `${JSON.stringify(TSCONFIG, null, 2)}\n` } : {},
    [`${source}index.${end}`]: master(wish),
    [`${source}options.${end}`]: options(wish),
    [`${source}worker.${end}`]: worker(wish),
    [`${source}agent.${end}`]: agent(wish),
    [`test/plugin.test.${end}`]: test(wish),
    'README.md': readme(wish),
  };
}

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2023', module: 'NodeNext', lib: ['ES2023'], types: ['node'], strict: true, declaration: true, skipLibCheck: true,
    verbatimModuleSyntax: true, rewriteRelativeImportExtensions: true, rootDir: 'src', outDir: 'dist',
  },
  include: ['src'],
};

function manifest({ name, ts, version, strips }: PluginWish): object {
  const tests = ts ? `node ${strips ? '' : '--import tsx '}--test test/*.test.ts` : 'node --test test/*.test.js';
  return {
    name,
    version: '0.1.0',
    description: 'A plugin for Hatchery.',
    type: 'module',
    keywords: ['hatchery', 'hatchery-plugin'],
    exports: { '.': ts ? { types: './dist/index.d.ts', default: './dist/index.js' } : './index.js' },
    files: ts ? ['dist'] : ['index.js', 'options.js', 'worker.js', 'agent.js'],
    scripts: { test: tests, ...ts ? { build: 'tsc', prepack: 'tsc' } : {} },
    peerDependencies: { hatchery: `>=${version}` },
    devDependencies: {
      hatchery: `>=${version}`,
      ...ts ? { '@types/node': '^20.19.0', tsx: '^4.0.0', typescript: '>=5.8' } : {},
    },
    engines: { node: '>=20.19.0' },
  };
}

const quoted = (text: string): string => `'${text}'`;
/** What the plugin's own messages begin with. */
const short = (name: string): string => name.replace(/^.*\//, '');

const master = ({ name, ts }: PluginWish): string => `import { definePlugin } from 'hatchery';
import { jsonSchema, schema${ts ? ', type Options' : ''} } from './options.${ts ? 'ts' : 'js'}';
${ts ? `
/** Its options in a configuration are checked, and shown, by this. */
declare module 'hatchery' {
  interface PluginOptions {
    ${quoted(name)}: Partial<Options>;
  }
}

/** Parts lie beside this file, here and where it was compiled to. */
const beside = (part: string): URL => new URL(\`./\${part}\${/\\.ts(?:\\?|$)/.test(import.meta.url) ? '.ts' : '.js'}\`, import.meta.url);
` : ''}
/** Runs in the master, once, before anything is forked. Taps of hooks belong here: \`framework hooks\` lists them. */
export default definePlugin${ts ? '<Options>' : ''}({
  name: ${quoted(name)},
  schema,
  jsonSchema,
  apply(master, options) {
    // What runs in the other processes is a module, with options that can be sent there.
    master.inject('worker', ${ts ? "beside('worker')" : "new URL('./worker.js', import.meta.url)"}, options);
    // Passive: where the app has an agent; without it one would be started for this part.
    master.inject('agent', ${ts ? "beside('agent')" : "new URL('./agent.js', import.meta.url)"}, options, { passive: true });

    let ends = 0;
    master.hooks.workerExit.tap(${quoted(name)}, (child, exit) => {
      if (exit.cause !== 'requested') ends++;
    });
    // \`framework status --json\` shows it.
    master.hooks.collectStatus.tap(${quoted(name)}, (status) => ({ ...status, ${quoted(name)}: { ends } }));
  },
});
`;

const options = ({ ts }: PluginWish): string => `${ts ? `import type { StandardSchema } from 'hatchery';

/** What the plugin is given: each option with its default filled in. */
export interface Options {
  /** Header that tells which slot has answered. */
  header: string;
}
` : `/**
 * @typedef {object} Options What the plugin is given: each option with its default filled in.
 * @property {string} header Header that tells which slot has answered.
 */
`}
const defaults${ts ? ': Options' : ''} = { header: 'x-slot' };

/**
 * Checks the options and fills in the defaults. It has the interface of https://standardschema.dev, so that a schema of zod,
 * valibot or arktype can stand here as well.
 */
export const schema${ts ? ': StandardSchema<Options>' : ''} = {
  '~standard': {
    version: 1,
    vendor: 'own',
    validate(given) {
      const value = { ...defaults, ...given${ts ? ' as Partial<Options>' : ''} };
      const unknown = Object.keys(value).find((key) => !(key in defaults));
      if (unknown !== undefined) {
        return { issues: [{ path: [unknown], message: \`unknown option; known are \${Object.keys(defaults).join(', ')}\` }] };
      }
      if (typeof value.header !== 'string' || !/^[\\w-]+$/.test(value.header)) {
        return { issues: [{ path: ['header'], message: 'expected the name of a header' }] };
      }
      return { value };
    },
  },
};

/** The same for editors: \`framework config --schema\` has it among the keys of an app's configuration. */
export const jsonSchema = {
  type: 'object',
  properties: {
    header: { type: 'string', pattern: '^[\\\\w-]+$', default: defaults.header, description: 'Header that tells which slot has answered.' },
  },
  additionalProperties: false,
};
`;

const worker = ({ name, ts }: PluginWish): string => `${ts ? `import type { Runtime } from 'hatchery/runtime';
import type { Options } from './options.ts';

` : ''}/** Runs in each worker before the app is loaded. */
export default function part(runtime${ts ? ": Runtime<'worker'>" : ''}, options${ts ? ': Options' : ''})${ts ? ': void' : ''} {
  let served = 0;
  // Each request comes here before the app sees it; a tap that returns true has answered it.
  runtime.hooks.request.tap(${quoted(name)}, (request, response) => {
    served++;
    response.setHeader(options.header, String(runtime.slot));
  });
  runtime.onClose(() => { runtime.logger.debug(\`${name}: \${served} requests\`); }, ${quoted(name)});
  // Another process asks: \`messenger.request({ slot: 0 }, '${short(name)}.served', null)\`.
  runtime.messenger.on('${short(name)}.served', () => served);
}
`;

const agent = ({ name, ts }: PluginWish): string => `${ts ? `import type { Runtime } from 'hatchery/runtime';

` : ''}/** Runs in the agent, the one process for work that is done once. */
export default function part(runtime${ts ? ": Runtime<'agent'>" : ''})${ts ? ': void' : ''} {
  runtime.hooks.boot.tap(${quoted(name)}, () => { runtime.logger.debug('${name}: here is the agent'); });
}
`;

const test = ({ name, ts }: PluginWish): string => {
  const source = ts ? '../src' : '..';
  const end = ts ? 'ts' : 'js';
  return `import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { createRuntime, startTestCluster } from 'hatchery/testing';
import part from '${source}/worker.${end}';

/** By its URL here; an app that has installed the package names it ${quoted(name)}. */
const plugin = new URL('${source}/index.${end}', import.meta.url).href;

test('the part of a worker tells the slot in each answer', async () => {
  const worker = createRuntime({ slot: 2 });
  part(worker.runtime, { header: 'x-slot' });
  const address = await worker.serve((request, response) => { response.end('from the app'); });
  const response = await fetch(address);
  assert.equal(response.headers.get('x-slot'), '2');
  assert.equal(await response.text(), 'from the app');
  await worker.close();
});

test('a cluster runs with it', async (t) => {
  const cluster = await startTestCluster({ workers: 2, config: { plugins: { [plugin]: { header: 'x-place' } } } });
  t.after(() => cluster.stop());
  const response = await cluster.fetch('/');
  assert.match(response.headers.get('x-place') ?? '', /^[01]$/);
  assert.deepEqual((await cluster.status())['${name}'], { ends: 0 });
});

test('a wrong option fails the start in one line', async () => {
  await assert.rejects(startTestCluster({ config: { plugins: { [plugin]: { header: 'no header' } } } }), /expected the name of a header/);
});

test('editors know its options, by the schema of a configuration that has it', (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'plugin-'));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  writeFileSync(path.join(dir, 'app.js'), '');
  writeFileSync(path.join(dir, '.clusterrc.json'), JSON.stringify({ plugins: { [fileURLToPath(plugin)]: true } }));
  const framework = path.join(path.dirname(createRequire(import.meta.url).resolve('hatchery/package.json')), 'dist/bin/framework.js');
  const told = JSON.parse(execFileSync(process.execPath, [framework, 'config', '--schema', dir], { encoding: 'utf8' }));
  const known = Object.entries(told.properties.plugins.properties).find(([key]) => key.endsWith('index.${end}'))?.[1];
  assert.equal(known.anyOf[1].properties.header.default, 'x-slot');
});
`;
};

const readme = ({ name, ts }: PluginWish): string => `# ${name}

A plugin for [Hatchery](https://www.npmjs.com/package/hatchery): each answer tells which slot it comes from.

\`\`\`json
{ "plugins": { "${name}": { "header": "x-slot" } } }
\`\`\`

| option | default | |
|---|---|---|
| \`header\` | \`x-slot\` | header that tells which slot has answered |

\`npm test\` runs its tests${ts ? ', `npm run build` compiles it' : ''}. \`${ts ? 'src/index.ts' : 'index.js'}\` runs in the master,
\`worker.${ts ? 'ts' : 'js'}\` in each worker, \`agent.${ts ? 'ts' : 'js'}\` in the agent, where there is one.
`;
