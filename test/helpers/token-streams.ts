import http from 'node:http';
import http2 from 'node:http2';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';

export interface Asked {
  port: number;
  /** Tokens, and ms between two of them. */
  tokens: number;
  ms: number;
  method?: 'GET' | 'POST';
  gzip?: boolean;
  http2?: boolean;
}

/** `cut`, with how its client learns of that; `short`: it looks whole, and is not; `refused`: HTTP/2's word for "unseen, ask again". */
export interface Told { how: 'whole' | 'cut' | 'short' | 'refused'; tokens: number; error?: string }

/** One answer of the fixture `token-streams`, read to its end by a stock client. */
export async function readTokens(asked: Asked): Promise<Told> {
  let text = '';
  const told = (error?: unknown): Told => {
    const tokens = text.split('data: ').length - 1;
    if (error instanceof Refused) return { how: 'refused', tokens };
    if (error !== undefined) return { how: 'cut', tokens, error: (error as NodeJS.ErrnoException).code ?? String(error) };
    return { how: tokens === asked.tokens ? 'whole' : 'short', tokens };
  };
  try {
    const { body, over } = await (asked.http2 ? open2 : open)(asked);
    const read = asked.gzip ? body.pipe(createGunzip()) : body;
    await new Promise<void>((resolve, reject) => {
      body.on('error', reject);
      read.on('error', reject).on('data', (data) => { text += String(data); }).on('end', resolve);
    }).finally(over);
    return told();
  } catch (error) {
    return told(error);
  }
}

class Refused extends Error {}

interface Opened { body: Readable; over(): void }
const pathOf = ({ tokens, ms }: Asked) => `/tokens?n=${tokens}&ms=${ms}`;
const headersOf = ({ gzip }: Asked) => ({ accept: 'text/event-stream', ...gzip ? { 'accept-encoding': 'gzip' } : {} });

const open = (asked: Asked): Promise<Opened> => new Promise((resolve, reject) => {
  const { port, method = 'POST' } = asked;
  const request = http.request({ port, host: '127.0.0.1', method, path: pathOf(asked), headers: headersOf(asked), agent: false });
  request.on('response', (body) => {
    // After the head it comes as the body's.
    request.on('error', (error) => body.destroy(error));
    resolve({ body, over: () => request.destroy() });
  });
  request.on('error', reject).end(method === 'POST' ? '{"prompt":"x"}' : undefined);
});

const open2 = (asked: Asked): Promise<Opened> => new Promise((resolve, reject) => {
  const session = http2.connect(`http://127.0.0.1:${asked.port}`).on('error', reject);
  const { method = 'POST' } = asked;
  const stream = session.request({ ':method': method, ':path': pathOf(asked), ...headersOf(asked) });
  stream.on('error', (error) => reject(stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM ? new Refused() : error));
  stream.on('response', () => resolve({ body: stream, over: () => session.destroy() }));
  stream.end(method === 'POST' ? '{"prompt":"x"}' : undefined);
});
