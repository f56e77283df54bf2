import { shareClient, type Runtime } from '../../lib/runtime.js';
import { Leases } from './leases.js';
import { beatOf, definition, type LinkClient, type LinkOptions } from './link.js';
import type { PartOptions } from './messages.js';
import { Receiving } from './receiving.js';
import { clientsOf } from './redis-connection.js';
import { Sending } from './sending.js';

/** Milliseconds for the master's word on the instance. */
const REPORT = 5_000;

/** What a process of the instance has to do with other hosts; one of them has the connections to Redis, for all. */
export default function hosts(runtime: Runtime, { source, tls, host, prefix, ttl, instance }: PartOptions): void {
  const { channel, logger } = runtime;
  const patience = Math.max(1_000, beatOf(ttl));
  let leaves = false;
  const client = shareClient(definition(2 * patience), {
    make: clientsOf(runtime.boot.baseDir, { source, tls }, patience),
    prefix, instance, ttl,
    report: () => channel.request('hosts.report', null, { timeout: REPORT }),
    leaves: () => leaves,
    say: (text, isGood) => { logger[isGood ? 'info' : 'warn'](text); },
  } satisfies LinkOptions) as Promise<LinkClient>;
  const group = runtime.role === 'agent' ? 'agent' : 'app';
  const sending = new Sending({ host, group, client, logger });
  const receiving = new Receiving({ client, logger, deliver: (envelope) => runtime.deliver(envelope) });
  const leases = new Leases({ registry: client, ttl, holder: `${instance}/${process.pid}`, logger });

  client.then((link) => {
    link.subscribe('head', (head) => receiving.head(head));
    link.on('free', (name) => leases.free(String(name)));
    link.on('up', () => sending.up());
  }).catch((error: unknown) => { if (!runtime.signal.aborted) logger.error('other hosts cannot be reached', { error }); });

  runtime.carryBroadcasts(sending.carry);
  runtime.extendContext('lead', leases.lead);
  // A framework's application, Egg's above all, has no context of ours.
  runtime.hooks.frameworkMade.tap('hosts', (part) => { if (!('lead' in part)) Object.assign(part, { lead: leases.lead }); });
  runtime.hooks.beforeClose.tap('hosts', ({ reason }) => { leaves = reason === 'stop'; });
  runtime.onClose(() => receiving.close(), 'messages of other hosts');
  runtime.onClose(() => sending.close(), 'messages for other hosts');
  runtime.onClose(() => leases.close(), 'leases');
  channel.on('hosts.list', async () => (await client).list());
  channel.on('hosts.carry', ({ action, data, id, meta }) => {
    sending.carry({ action, data, id, from: 'master', ...(meta === undefined ? {} : { meta }) });
  });
}
