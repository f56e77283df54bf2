import assert from 'node:assert/strict';
import http from 'node:http';
import { ask } from './sticky.js';

export interface Transfers { uploads: number; downloads: number; body: Buffer; sha1: string; /** Bytes of a download. */ size: number }

/** Uploads and downloads of many clients at once; throws at the first byte that is wrong. */
export async function transfers(port: number, { uploads, downloads, body, sha1, size }: Transfers): Promise<void> {
  const client = (n: number) => ({ from: `127.0.7.${n % 250 + 1}`, headers: { 'x-client': `c${n}` }, deadline: 60_000 });
  const lane = async (count: number, each: (n: number) => Promise<void>) => {
    let next = 0;
    await Promise.all(Array.from({ length: 16 }, async () => { while (next < count) await each(next++); }));
  };
  await lane(uploads, async (n) => {
    const answer = await ask({ port }, '/upload', { ...client(n), body });
    assert.deepEqual([answer.length, answer.sha1], [body.length, sha1]);
  });
  await lane(downloads, (n) => new Promise<void>((resolve, reject) => {
    const { from, headers } = client(n);
    http.get({ port, host: '127.0.0.1', localAddress: from, headers, agent: false, path: `/download?bytes=${size}` }, (response) => {
      const slot = Number(response.headers['x-slot']);
      let length = 0;
      response.on('data', (chunk: Buffer) => {
        length += chunk.length;
        // The body is the slot's number again and again.
        if (chunk.some((byte) => byte !== slot)) reject(new Error(`a wrong byte near ${length}`));
      });
      response.on('error', reject);
      response.on('end', () => length === size ? resolve() : reject(new Error(`${length} of ${size} bytes`)));
    }).on('error', reject);
  }));
}
