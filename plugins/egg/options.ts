import * as v from 'valibot';

const PORT = 'expected a port from 1 to 65535';
const port = () => v.pipe(v.number(PORT), v.integer(PORT), v.minValue(1, PORT), v.maxValue(65_535, PORT));
const text = (expected: string) => v.pipe(v.string(expected), v.nonEmpty(expected));

export const schema = v.strictObject({
  options: v.optional(v.pipe(v.record(v.string(), v.unknown(), 'expected an object of options'),
    v.description('What Application and Agent are made with, beside `baseDir`, `framework`, `title`, `workers`, `port`.')), {}),
  debugPort: v.optional(v.pipe(port(), v.description('Plain HTTP on a port of its own, beside https.'))),
  ports: v.optional(v.pipe(v.array(port(), 'expected a list of ports'),
    v.description('Worker by worker the port that it listens on, alone.')), []),
  pidFile: v.optional(v.pipe(text('expected a file path'), v.description('The master\'s pid is written there, as long as it runs.'))),
  asEggCluster: v.optional(v.pipe(v.boolean('expected true or false'),
    v.description('What `hatchery/egg` does: egg-cluster\'s lines in the log as well, ports of debuggers as there, '
      + 'and in env `local` no worker in place of a dead one.')), false),
});

export type EggOptions = v.InferOutput<typeof schema>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    egg: v.InferInput<typeof schema>;
  }
}
