import { execFile, type ChildProcess } from 'node:child_process';
import cluster from 'node:cluster';
import net, { type AddressInfo } from 'node:net';
import {
  addressKey, hearInternal, isClusters, markAddress, newConnection, schedule, seeHandlesMade, seeListeners, seeSent, sendHandle,
} from './cluster.js';
import { handleOf, type RawHandle } from './raw-sockets.js';

/**
 * A cluster of one worker: its address and key, how its handle is made, taken over and a connection of it handed on; once for
 * each scheduling policy. Runs in the file of probes.ts alone, which the worker runs as well.
 */
export async function probe(): Promise<string | null> {
  const own = await probeWorker();
  if (own !== null) return own;
  const env = { ...process.env, [SHARED]: '1', NODE_CLUSTER_SCHED_POLICY: 'none' };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [...process.execArgv, import.meta.filename], { env }, (error, out) => {
      if (error) reject(error);
      else resolve(JSON.parse(out) as string | null);
    });
  });
}

/** Set for the process that probes SCHED_NONE. */
const SHARED = 'HATCHERY_PROBE_SHARED';

/** What other processes of the probe do in the same file; false in the first one. */
export function playPart(): boolean {
  if (cluster.isWorker) beProbedWorker();
  else if (process.env[SHARED]) void probeWorker().then((line) => { process.stdout.write(JSON.stringify(line)); });
  else return false;
  return true;
}

interface Told {
  port: number;
  key?: string;
  /** The stand-in that node:cluster gave is the server's handle. */
  own: boolean;
}

function beProbedWorker(): void {
  const server = net.createServer((socket) => { socket.end('served'); });
  let mine: { key: string; handle: RawHandle } | undefined;
  seeListeners((key, one, handle) => { if (one === server) mine = { key, handle }; });
  server.listen(0, '127.0.0.1', () => {
    process.send?.({ port: (server.address() as AddressInfo).port, key: mine?.key, own: handleOf(server) === mine?.handle } satisfies Told);
  });
}

const read = (client: net.Socket): Promise<string> => new Promise((resolve, reject) => {
  client.once('error', reject).once('data', (data) => { resolve(data.toString()); });
});

async function probeWorker(): Promise<string | null> {
  const isShared = cluster.schedulingPolicy === cluster.SCHED_NONE;
  let asking: string | null = null;
  let asked: string | null = null;
  let answered: string | undefined;
  let made = 0;
  let handle: RawHandle | null = null;
  const end = seeHandlesMade({
    server: (server) => {
      if (asking !== null) made++;
      server.prependOnceListener('listening', () => { handle = handleOf(server); });
    },
    handle: (make) => {
      if (asking !== null) made++;
      return make();
    },
  });
  if (!schedule(isShared) || schedule(!isShared)) return 'node:cluster does not tell in `settings` that it keeps to its scheduling policy';
  cluster.setupPrimary({ exec: import.meta.filename, args: [] });
  const worker = cluster.fork();
  try {
    hearInternal(worker.process, (message) => {
      if (!isClusters(message) || message.act !== 'queryServer') return;
      markAddress(message, 'mark');
      asked = asking = addressKey(message);
    }, () => { asking = null; });
    seeSent(worker.process, (message) => {
      if (isClusters(message) && message.ack !== undefined && asked !== null) answered = message.key;
    });
    const told = await new Promise<Told>((resolve) => worker.once('message', resolve));
    if (asked !== '127.0.0.1:0:4:mark:0') return `node:cluster's workers ask for an address in another way: ${asked}`;
    if (made !== 1) return `node:cluster does not make its handles with \`net.${isShared ? '_createServerHandle' : 'createServer'}\``;
    if (isShared) {
      const answer = await read(net.connect(told.port, '127.0.0.1'));
      return answer === 'served' ? null : 'a worker does not accept from the handle it shares';
    }
    if (answered !== asked) return `node:cluster names an address "${answered}", not "${asked}"`;
    if (told.key !== asked || !told.own) return 'in a worker `cluster._getServer` does not give the stand-in of a listening handle';
    return await probeHandingOn(worker.process, handle, told);
  } finally {
    worker.process.kill('SIGKILL');
    end();
  }
}

async function probeHandingOn(process_: ChildProcess, handle: RawHandle | null, { port, key = '' }: Told): Promise<string | null> {
  if (!handle) return 'node:cluster\'s server has no handle when it listens';
  const accepted = new Promise<boolean | undefined>((resolve) => hearInternal(process_, (message) => {
    if (isClusters(message) && message.ack === -1) resolve(message.accepted);
  }));
  handle.onconnection = (_, client) => {
    if (client) sendHandle(process_, newConnection(key, -1, undefined), client, () => client.close());
  };
  const answer = await read(net.connect(port, '127.0.0.1'));
  if (answer !== 'served') return 'a worker does not serve a connection that it is sent (`act: "newconn"`)';
  return await accepted ? null : 'a worker does not acknowledge a connection that it is sent';
}
