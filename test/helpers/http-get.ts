import http from 'node:http';
import https from 'node:https';
import http2 from 'node:http2';

export interface Answer { status: number; text: string; json: Record<string, unknown> }

export interface GetOptions {
  method?: string;
  body?: Buffer | string;
  socketPath?: string;
  /** Milliseconds. */
  deadline?: number;
}

/** One request on a connection of its own. The certificates of the fixtures are nobody's, so they are taken as they are. */
export function get(url: string, { method = 'GET', body, socketPath, deadline = 10_000 }: GetOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { request } = url.startsWith('https:') ? https : http;
    const sent = request(url, { agent: false, method, socketPath, rejectUnauthorized: false, timeout: deadline }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => resolve(answer(response.statusCode ?? 0, Buffer.concat(chunks))));
    });
    sent.on('timeout', () => sent.destroy(new Error(`${url} did not answer within ${deadline} ms`)));
    sent.on('error', reject);
    sent.end(body);
  });
}

/** One request over HTTP/2. */
export function get2(url: string, deadline = 10_000): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const session = http2.connect(url, { rejectUnauthorized: false });
    const timer = setTimeout(() => session.destroy(new Error(`${url} did not answer within ${deadline} ms`)), deadline);
    session.on('error', reject);
    session.on('close', () => clearTimeout(timer));
    const stream = session.request({ ':path': '/' });
    const chunks: Buffer[] = [];
    let status = 0;
    stream.on('response', (headers) => { status = headers[':status'] ?? 0; });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('error', reject);
    stream.on('end', () => {
      session.close();
      resolve(answer(status, Buffer.concat(chunks)));
    });
    stream.end();
  });
}

function answer(status: number, body: Buffer): Answer {
  const text = body.toString();
  return { status, text, get json() { return JSON.parse(text) as Record<string, unknown>; } };
}

/** Asks until `count` different workers have answered; the slots seen. */
export async function slotsSeen(url: string, count: number, deadline = 10_000): Promise<Set<string>> {
  const until = performance.now() + deadline;
  const seen = new Set<string>();
  while (seen.size < count && performance.now() < until) seen.add(String((await get(url)).json.slot));
  return seen;
}
