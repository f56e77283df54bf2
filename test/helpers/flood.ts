import { setTimeout as delay } from 'node:timers/promises';
import { RawConnection, requestHead, type RawResponse } from './raw-client.js';

/** A handler that takes `cost` ms of a processor, and ways that take none: `/healthz`, `/slow` (until it is left), `/stream`. */
export const costlyApp = (cost: number): string => `
const server = require('node:http').createServer((request, response) => {
  const { url } = request;
  if (url === '/healthz') return response.end('fine');
  if (url === '/slow') return response.write('begun');
  if (url === '/stream') {
    const timer = setInterval(() => response.write('tick'), 50);
    return response.on('close', () => clearInterval(timer));
  }
  const until = performance.now() + ${cost};
  while (performance.now() < until);
  let size = 0;
  request.on('data', (chunk) => { size += chunk.length; }).on('end', () => response.end('done ' + size));
});
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n');
  socket.pipe(socket);
  socket.on('error', () => {});
});
server.listen(process.env.PORT);`;

/** Clients that ask again at once, more than can be answered, until they are stopped; how they were answered. */
export function flood(port: number, { clients, keeps }: { clients: number; keeps: boolean }) {
  const answers = new Map<number, number>();
  const losses: string[] = [];
  let going = true;
  const head = requestHead('GET', '/', keeps ? {} : { connection: 'close' });
  const all = Array.from({ length: clients }, async () => {
    let connection: RawConnection | undefined;
    while (going) {
      if (!connection?.usable) connection = new RawConnection({ port });
      try {
        const [answer] = await Promise.all(connection.send(head, ['GET'], 20_000));
        const { status } = answer as RawResponse;
        answers.set(status, (answers.get(status) ?? 0) + 1);
        // Nobody comes back at once who has been told to wait; and yet there are more than can be answered.
        if (status === 503) await delay(30);
      } catch (error) {
        losses.push(String(error));
      }
    }
    connection?.destroy();
  });
  return {
    answers,
    losses,
    get shed() { return answers.get(503) ?? 0; },
    async stop() {
      going = false;
      await Promise.all(all);
    },
  };
}
