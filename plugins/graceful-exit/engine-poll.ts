import type { IncomingMessage, ServerResponse } from 'node:http';

/** The end of an id that says which worker has the session: it may live on elsewhere, and sticky-session sees to it. */
const MARKED = /~[0-9a-z]{1,8}$/;
/** From this version of Engine.IO's protocol on a packet goes without its length. */
const BARE = 4;

/**
 * The session whose poll that is, in Engine.IO's protocol, which Socket.IO speaks over plain HTTP: the poll waits, for up to 25 s, until
 * there is something to say. Null: it is none, or has its answer already.
 */
export function sessionOfPoll({ method, url = '' }: IncomingMessage, isAnswered: boolean): string | null {
  return method === 'GET' && !isAnswered ? sessionOf(url) : null;
}

/** The session that a poll, or what its client sends, belongs to. */
export function sessionOf(url: string): string | null {
  // Most have none of this.
  if (!url.includes('transport=polling')) return null;
  const query = new URLSearchParams(url.slice(url.indexOf('?') + 1));
  const sid = query.get('sid');
  return query.has('EIO') && sid && !MARKED.test(sid) ? sid : null;
}

/**
 * Answers such a poll with the packet "close", by which clients connect anew at once, to another worker, while one that is cut, or asks
 * a worker that does not know its session, counts as an error there. Engine.IO hears that its client is gone.
 */
export function closePoll(request: IncomingMessage, response: ServerResponse): void {
  const query = new URLSearchParams((request.url ?? '').split('?')[1]);
  const packet = Number(query.get('EIO')) >= BARE ? '1' : '1:1';
  const callback = query.get('j');
  const [type, body] = callback === null ? ['text/plain; charset=UTF-8', packet]
    : ['text/javascript; charset=UTF-8', `___eio[${callback.replace(/\D/g, '')}](${JSON.stringify(packet)});`];
  response.writeHead(200, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
  // What Engine.IO would say in this very moment is too late.
  const late = () => response;
  Object.assign(response, { writeHead: late, write: () => true, end: late });
}
