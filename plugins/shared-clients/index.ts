import { definePlugin, type ChildView } from '../../lib/index.js';
import { Leadership } from './leadership.js';
import type {} from './messages.js';
import { schema } from './options.js';

const NAME = 'shared-clients';

const part = (name: string) => new URL(`./${name}.cjs`, import.meta.url);

type Data = Readonly<Record<string, unknown>>;
const isName = (value: unknown): boolean => typeof value === 'string' && value !== '' && value.length <= 200;
const isJoin = (value: unknown): boolean => typeof value === 'object' && value !== null
  && isName((value as Data).name) && typeof (value as Data).leads === 'boolean';

/** One real client for all processes (`context.shareClient`). The master says who makes it, and sees nothing of what it does. */
export default definePlugin({
  name: NAME,
  schema,
  apply(master) {
    const { hooks } = master;
    const leadership = new Leadership(master);
    const listen = (child: ChildView): void => {
      child.channel.on('shared.join', (data) => leadership.join(child, data), isJoin);
      child.channel.on('shared.leave', (name) => leadership.leave(child, name), isName);
      child.channel.on('shared.closing', () => leadership.closing(child), (value) => value === null);
    };
    hooks.agentForked.tap(NAME, listen);
    hooks.workerForked.tap(NAME, listen);
    hooks.agentReady.tap(NAME, () => leadership.ready());
    hooks.workerReady.tap(NAME, () => leadership.ready());
    hooks.agentExit.tap(NAME, (child) => leadership.gone(child));
    hooks.workerExit.tap(NAME, (child) => leadership.gone(child));
    hooks.closed.tap(NAME, () => leadership.end());
    master.inject('worker', part('worker'));
    master.inject('agent', part('agent'), {}, { passive: true });
  },
});
