import * as v from 'valibot';

const TIME = 'expected whole milliseconds';
const NAME = 'expected the name of a variable';
const name = () => v.pipe(v.string(NAME), v.regex(/^[A-Za-z_]\w*$/, NAME));

export const schema = v.strictObject({
  instanceVar: v.optional(v.pipe(name(), v.description('The variable that has the slot of a worker.')), 'NODE_APP_INSTANCE'),
  incrementVar: v.optional(v.pipe(name(), v.description('A variable whose number grows by one from slot to slot.'))),
  waitReady: v.optional(v.pipe(v.boolean('expected true or false'),
    v.description('A worker is ready when it has said `process.send(\'ready\')` as well.')), false),
  listenTimeout: v.optional(v.pipe(v.number(TIME), v.integer(TIME), v.minValue(1, TIME), v.maxValue(2 ** 31 - 1, TIME),
    v.description('How long after it listens that is waited for, ms; then a warning.')), 3_000),
  shutdownMessage: v.optional(v.pipe(v.boolean('expected true or false'),
    v.description('A worker that closes gets the message `shutdown`, once it is drained.')), false),
});

export type Pm2Options = v.InferOutput<typeof schema>;

declare module '../../lib/index.js' {
  interface PluginOptions {
    pm2: v.InferInput<typeof schema>;
  }
}
