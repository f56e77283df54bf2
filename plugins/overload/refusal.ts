import type { Socket } from 'node:net';
import type { ServedRequest, ServedResponse } from '../../lib/runtime.js';
import { retryAfter, TEXT } from './messages.js';

/** A body of so many bytes is read and thrown away, and the connection goes on. */
const SMALL = 64 * 1024;
/** Of a longer one, or one whose client waits for word, so much is read before the connection is closed: it has to hear of it. */
const LINGER = { ms: 1_000, bytes: 1024 * 1024, sockets: 256 };

let lingering = 0;

/** Answers 503 in place of the app. The connection is kept where the next request on it can be told from this one's body. */
export function refuse(request: ServedRequest, response: ServedResponse, least: number): void {
  response.statusCode = 503;
  response.setHeader('Retry-After', retryAfter(least));
  response.setHeader('Content-Type', 'text/plain');
  response.setHeader('Content-Length', TEXT.length);
  if (!('stream' in request) && isLong(request.headers)) {
    response.setHeader('Connection', 'close');
    linger(request.socket);
  }
  (response as { end(text: string): unknown }).end(TEXT);
}

function isLong({ expect, 'transfer-encoding': coding, 'content-length': length = '0' }: ServedRequest['headers']): boolean {
  return expect !== undefined || coding !== undefined || Number(length) > SMALL;
}

/** Bytes that nobody reads make the system reset the connection, and the client loses the answer that it has not read. */
function linger(socket: Socket): void {
  if (lingering >= LINGER.sockets) return;
  lingering++;
  const most = socket.bytesRead + LINGER.bytes;
  socket.once('close', () => { lingering--; });
  // Node calls it when the answer is written.
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER.ms);
    const look = setInterval(() => { if (socket.bytesRead > most) socket.destroy(); }, LINGER.ms / 20);
    socket.once('end', () => socket.destroy());
    socket.once('close', () => {
      clearTimeout(timer);
      clearInterval(look);
    });
    socket.resume();
  };
}
