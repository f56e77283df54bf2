import { ClusterError } from '../kit/errors.js';
import type { BootInfo } from '../ipc/messages.js';
import type { Context } from '../api/context.js';
import { serveFramework } from './egg-framework.js';
import { createServer, giveWay, isSecure, makeRoom } from './own-server.js';
import type { Runtime } from '../api/runtime.js';
import { describe, isEmpty, isFactory, kindOf, mayListenLater, type Kind } from './servable.js';
import { listenStateOf } from './server-tracker.js';

const nextTurn = (): Promise<void> => new Promise((resolve) => { setImmediate(resolve); });

/**
 * Serves what the app gave and resolves when this worker is ready. An app that listens by itself is left alone; else its
 * export is served where the cluster was told to; with neither, the app may still be on its way to a listen.
 * Rejects with ERR_CLUSTER_NOT_SERVABLE, or with the app's own error.
 */
export async function serve(exported: unknown, boot: BootInfo, context: Context, runtime: Runtime): Promise<void> {
  if (boot.entry.kind === 'framework') return serveFramework(exported, boot, boot.entry, runtime);
  const state = listenStateOf(runtime);
  // A listen that is only a few settled promises away counts as the app's own.
  await nextTurn();
  let found = exported;
  if (!state.begun) {
    found = await settle(found);
    if (isFactory(found)) found = await settle(await found(context as never));
  }
  if (!state.begun) {
    const kind = kindOf(found);
    if (kind) return open(kind, found, boot, runtime);
    if (!mayListenLater(found)) throw notServable(found, boot);
    await untilListening(found, boot, runtime);
  }
  await state.settled();
}

/** Waits for a promise; but an app that only looks like one (Fastify's has a `then`) is taken as it is. */
const settle = (value: unknown): unknown => kindOf(value) ? value : Promise.resolve(value);

async function open(kind: Kind, app: unknown, boot: BootInfo, runtime: Runtime): Promise<void> {
  const { port, host, path, https } = boot.listen;
  makeRoom(path);
  if (kind.server) {
    const server = kind.server(app as never);
    if (https?.key && !isSecure(server)) throw new ClusterError('ERR_CLUSTER_NOT_SERVABLE',
      '`https` is configured, but the app brings a server of its own that speaks plain HTTP: give it the certificate, or export a request listener');
    const state = listenStateOf(runtime);
    // Fastify's listen() waits for its plugins first; where the app has called it already, it comes before ours.
    await (app as { ready?(): PromiseLike<unknown> }).ready?.();
    await nextTurn();
    if (state.begun) return state.settled();
    giveWay(server, boot.listen, runtime);
    await kind.listen(app as never, { port, host, path });
    return;
  }
  const server = await createServer(https, await kind.listener(app as never));
  giveWay(server, boot.listen, runtime);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path === undefined ? { port, host } : { path }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/**
 * Waits for the app's own listen, and rejects once nothing is left in the process that could lead there: that is where a
 * plain Node process would end. What never ends is for the master's `startTimeout`.
 */
function untilListening(found: unknown, boot: BootInfo, runtime: Runtime): Promise<void> {
  if (!isEmpty(found)) runtime.logger.debug(`${describe(found)} is exported, which cannot be served; waiting for the app to listen`);
  const hold = (keep: boolean): void => {
    runtime.channel.hold(keep);
    if (keep) process.channel?.ref();
    else process.channel?.unref();
  };
  return new Promise<void>((resolve, reject) => {
    const idle = (): void => reject(notServable(found, boot));
    process.once('beforeExit', idle);
    runtime.hooks.listen.tap('serve', () => {
      process.off('beforeExit', idle);
      hold(true);
      resolve();
    });
    hold(false);
  }).finally(() => hold(true));
}

function notServable(found: unknown, boot: BootInfo): ClusterError {
  const file = 'file' in boot.entry ? boot.entry.file : 'the app';
  return new ClusterError('ERR_CLUSTER_NOT_SERVABLE',
    `${file} listens nowhere and exports ${describe(found)}; it has to call listen(), or to export a request listener, a server, a Koa, Express, Fastify or Nest app, an object with fetch(), or a function that returns one of these`);
}
