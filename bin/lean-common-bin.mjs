/**
 * common-bin and yargs bring 250 kB, most of it for help pages, colours and other things that a start does not need: read
 * whole, they are half of what the command line costs. Bundled, those parts are left where npm put them and loaded when they
 * are first called.
 */
const LAZY = {
  'common-bin': ['chalk', 'change-case', 'dargs', 'semver'],
  yargs: ['cliui', 'require-directory', 'string-width'],
};

/** What common-bin gets in place of modules that do more, when they are loaded, than it asks for. */
const INSTEAD = {
  assert: 'module.exports = (value, message) => { if (!value) throw new Error(message); };',
  'is-type-of': `
    exports.function = (value) => typeof value === 'function';
    exports.generatorFunction = (value) => value?.constructor?.name === 'GeneratorFunction';
    exports.promise = (value) => typeof value?.then === 'function';`,
  // Terminal streams, for nothing unless DEBUG is set.
  debug: `
    const { createRequire } = require('node:module');
    module.exports = (name) => process.env.DEBUG ? createRequire(__dirname + '/')('debug')(name) : () => {};`,
  // yargs/index.js first parses the command line for a singleton that nobody uses.
  yargs: "const yargs = require('yargs/yargs'); module.exports = (args) => yargs(args, process.cwd(), require);",
};

/** yargs reads its own settings from the nearest package.json, which here is the app's: not its business. One without any. */
const NOWHERE = "exports.sync = () => __dirname + '/bin/package.json';";

const packageOf = (file) => /.*node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)/.exec(file)?.[1];

const lazily = (name, owner) => `
const { createRequire } = require('node:module');
let loaded;
const load = () => {
  if (loaded) return loaded;
  const path = ${JSON.stringify(owner === 'common-bin' ? ['common-bin'] : ['common-bin', owner])};
  return loaded = path.reduce((from, step) => createRequire(from.resolve(step)), createRequire(__dirname + '/'))(${JSON.stringify(name)});
};
module.exports = new Proxy(function () {}, {
  get: (_, key) => (...args) => load()[key](...args),
  apply: (_, self, args) => load()(...args),
});`;

export const leanCommonBin = {
  name: 'lean-common-bin',
  setup(build) {
    build.onResolve({ filter: /^[a-z-]+$/ }, ({ path, importer, resolveDir }) => {
      const owner = packageOf(importer);
      if (owner === 'common-bin' && INSTEAD[path]) return { path, namespace: 'instead', pluginData: resolveDir };
      if (owner === 'yargs' && path === 'find-up') return { path, namespace: 'nowhere' };
      return LAZY[owner]?.includes(path) ? { path, namespace: 'lazy', pluginData: owner } : undefined;
    });
    build.onLoad({ filter: /.*/, namespace: 'instead' }, ({ path, pluginData }) => ({ contents: INSTEAD[path], resolveDir: pluginData }));
    build.onLoad({ filter: /.*/, namespace: 'nowhere' }, () => ({ contents: NOWHERE }));
    build.onLoad({ filter: /.*/, namespace: 'lazy' }, ({ path, pluginData }) => ({ contents: lazily(path, pluginData) }));
  },
};
