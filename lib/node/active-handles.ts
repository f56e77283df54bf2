import net, { Socket, type Server } from 'node:net';
import { listen } from '../kit/sockets.js';
import { slowPath } from './slow-paths.js';

const { _getActiveHandles: activeHandles } = process as unknown as { _getActiveHandles?(): unknown[] };

/**
 * Open sockets that came in through a server. The process knows its sockets, and a socket its server, so nothing has to be
 * counted while they come and go; of a TLS server it is the sockets below.
 */
export function openSockets(server: Server): Socket[] {
  if (!activeHandles) {
    slowPath('Node does not tell its open sockets: what is upgraded, and plain TCP, is not ended before a drain\'s deadline');
    return [];
  }
  return activeHandles.call(process).filter((handle): handle is Socket =>
    handle instanceof Socket && !handle.destroyed && Reflect.get(handle, 'server') === server);
}

/** Of two connections each server finds its own. */
export async function probe(): Promise<string | null> {
  if (!activeHandles) return '`process._getActiveHandles` is gone';
  const [one, other] = [net.createServer(), net.createServer()];
  await Promise.all([listen(one, { port: 0, host: '127.0.0.1' }), listen(other, { port: 0, host: '127.0.0.1' })]);
  const clients = [one, other].map((server) => net.connect((server.address() as net.AddressInfo).port, '127.0.0.1'));
  try {
    const [socket] = await Promise.all([one, other].map((server) => new Promise<Socket>((resolve) => server.once('connection', resolve))));
    const found = openSockets(one);
    if (found.length !== 1 || found[0] !== socket) return `of a server's one connection \`_getActiveHandles\` shows ${found.length}`;
    socket?.destroy();
    return openSockets(one).length === 0 ? null : 'a destroyed socket is still shown as open';
  } finally {
    for (const client of clients) client.destroy();
    for (const server of [one, other]) server.close();
  }
}
