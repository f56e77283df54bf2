import * as v from 'valibot';

const text = v.pipe(v.string('expected a text'), v.nonEmpty('expected a text'));
const texts = (description: string, fallback: string[]) =>
  v.optional(v.pipe(v.array(text, 'expected a list of texts'), v.description(description)), fallback);
const flag = (description: string, fallback: boolean) =>
  v.optional(v.pipe(v.boolean('expected true or false'), v.description(description)), fallback);

const debounce = 'expected whole milliseconds from 5 to 10000';

export const schema = v.strictObject({
  watch: texts('Files and directories to watch, relative to the app\'s directory: below that its sources, below any other one all.', ['.']),
  ignore: texts('What is ignored beside node_modules, dot folders, and logs, run and coverage at the top: '
    + 'names, paths from the app\'s directory, or patterns with * and **.', []),
  debounce: v.optional(v.pipe(v.number(debounce), v.integer(debounce), v.minValue(5, debounce), v.maxValue(10_000, debounce),
    v.description('How long after the last of several changes a reload starts, in ms; after one whole file alone a third of it.')), 30),
  serveWhileReloading: v.optional(v.pipe(v.picklist(['new', 'old'], 'expected "new" or "old"'),
    v.description('Who answers a request that comes during a reload: the new code, which it waits for, '
      + 'or the old code until the new one is ready.')), 'new'),
  polling: flag('Look at every file twice a second in place of asking the system for changes: for network drives.', false),
  spare: flag('Keep a started process waiting for the next reload, which makes it faster by the time that Node takes to start.', true),
});

export type DevReloadOptions = v.InferOutput<typeof schema>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    'dev-reload': v.InferInput<typeof schema>;
  }
}
