/**
 * common-bin and yargs bring 250 kB, most of it for help pages, colours and other things that a start does not need: read
 * whole, they are half of what the command line costs. Bundled, those parts are left where npm put them and loaded when they
 * are first called.
 */
const LAZY = {
  'common-bin': ['chalk', 'change-case', 'dargs', 'semver'],
  yargs: ['cliui', 'require-directory', 'string-width'],
};

/** yargs reads its own settings from the nearest package.json, which here is the app's: not its business. */
const NOWHERE = 'exports.sync = () => null;';

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
    build.onResolve({ filter: /^[a-z-]+$/ }, ({ path, importer }) => {
      const owner = packageOf(importer);
      if (owner === 'yargs' && path === 'find-up') return { path, namespace: 'nowhere' };
      return LAZY[owner]?.includes(path) ? { path, namespace: 'lazy', pluginData: owner } : undefined;
    });
    build.onLoad({ filter: /.*/, namespace: 'nowhere' }, () => ({ contents: NOWHERE }));
    build.onLoad({ filter: /.*/, namespace: 'lazy' }, ({ path, pluginData }) => ({ contents: lazily(path, pluginData) }));
  },
};
