import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import path from 'node:path';
import type { Readable } from 'node:stream';
import type { Launch } from '../lib/api/control.js';
import { alreadyRunning } from '../lib/control/claim.js';
import { findInstances, type InstanceRecord } from '../lib/control/registry.js';
import { ClusterError } from '../lib/kit/errors.js';
import { listen, listenErrorInWords, removeStaleSocket } from '../lib/kit/sockets.js';
import { atMost } from '../lib/kit/time.js';
import { REHEARSE, REPORT_FD } from './master.js';
import { print, write } from './output.js';
import type { Rehearsal, Wanted } from './rehearse.js';

/** Longer than a configuration and the plugins' `apply` may take, ms. */
const PATIENCE = 60_000;
/** What is kept of the output of a rehearsal, characters. */
const KEPT = 64 * 1024;
/** How long its last words may be on their way, ms. */
const LAST_WORDS = 500;

/** What a restart starts, once it has stopped what runs. */
export interface Restart extends Rehearsal {
  argv: string[];
  execArgv: string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
}

const refusal = (message: string): ClusterError => new ClusterError('ERR_CLUSTER_CONTROL', message);

/**
 * Looks whether an instance could be started again, with everything that can fail before the stop: its place, its bin, its
 * arguments, configuration, plugins and logs, its addresses. @throws ClusterError, and nothing has been touched
 */
export async function checkRestart(record: InstanceRecord, launch: Launch | null, env: NodeJS.ProcessEnv): Promise<Restart> {
  const goesOn = `${record.title} (pid ${record.pid}) goes on`;
  assertOurs(record, launch, goesOn);
  const { cwd, execArgv } = record;
  if (!statSync(cwd, { throwIfNoEntry: false })?.isDirectory()) {
    throw refusal(`the directory that it was started in is gone: ${cwd}; ${goesOn}: start it from where it is now, and stop this one`);
  }
  let argv = existsSync(record.argv[0] ?? '') ? record.argv : withOwnBin(record, 'gone', goesOn);
  let rehearsal = await rehearsed({ argv, execArgv, cwd, env }, goesOn);
  if (!rehearsal) {
    argv = withOwnBin(record, 'of an older version', goesOn);
    rehearsal = await rehearsed({ argv, execArgv, cwd, env }, goesOn);
    if (!rehearsal) throw refusal(`${argv[0]} is of an older version too; ${goesOn}`);
  }
  const [other] = (await findInstances({ target: rehearsal.dir, title: rehearsal.title }))
    .filter(({ dir, pid }) => dir === rehearsal.dir && pid !== record.pid);
  if (other) throw alreadyRunning(other);
  await assertFree(rehearsal, launch, goesOn);
  return { ...rehearsal, argv, execArgv, cwd, env };
}

/** Who else would start it again, or go with it. */
function assertOurs({ title, pid, log }: InstanceRecord, launch: Launch | null, goesOn: string): void {
  if (pid === 1) throw refusal(`${title} is process 1 of this container, which ends with it: restart the container`);
  if (!launch || log !== null) return;
  const { env, ppid } = launch;
  const asService = env.NOTIFY_SOCKET !== undefined || env.SYSTEMD_EXEC_PID === String(pid) || env.LISTEN_PID === String(pid);
  if (!asService && (env.INVOCATION_ID === undefined || ppid !== 1)) return;
  const unit = unitOf(pid);
  const how = unit === undefined ? 'its unit has to be restarted' : `systemctl restart ${unit}`;
  throw refusal(`${goesOn}: systemd runs it, so that it would come twice: ${how}`);
}

function unitOf(pid: number): string | undefined {
  try {
    return /([^/\n]+\.service)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

/** Its own words, with the bin of this command where its own has gone with a release, or knows no rehearsal. */
function withOwnBin({ argv: [bin = '', ...words] }: InstanceRecord, why: string, goesOn: string): string[] {
  const own = process.argv[1] ?? '';
  if (path.parse(own).name !== path.parse(bin).name) throw refusal(`what it was started with is ${why}: ${bin}; ${goesOn}`);
  print(`${bin} is ${why}, taking ${own}`);
  return [own, ...words];
}

/** An older bin takes the word for its order. */
const TOO_OLD = new RegExp(`SyntaxError: .*${REHEARSE}`);

type Started = Pick<Restart, 'argv' | 'execArgv' | 'cwd' | 'env'>;

/** Null where the bin is too old for it. */
async function rehearsed({ argv, execArgv, cwd, env }: Started, goesOn: string): Promise<Rehearsal | null> {
  // The port of an inspector is taken as yet.
  const child = spawn(process.execPath, [...execArgv, '--inspect-port=0', ...argv], {
    cwd, env: { ...env, PWD: cwd, HATCHERY_DAEMON: REHEARSE }, stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  const said = collect(child.stdio[2] as Readable);
  const report = collect(child.stdio[REPORT_FD] as Readable);
  const stop = () => { child.kill('SIGKILL'); };
  process.once('exit', stop);
  try {
    const ended = exitOf(child);
    if (!await atMost(PATIENCE, ended)) throw refusal(`configuration and plugins are not ready after ${PATIENCE / 1000} s; ${goesOn}`);
    const code = await ended;
    if (code === 0 && report.text !== '') return JSON.parse(report.text) as Rehearsal;
    if (code !== 0 && TOO_OLD.test(said.text)) return null;
    write(2, said.text);
    if (code === 0) throw refusal(`it ended while its configuration was read, as if it waited for what never comes; ${goesOn}`);
    // A mistake in the configuration is the user's.
    throw new ClusterError(code === 2 ? 'ERR_CLUSTER_CONFIG' : 'ERR_CLUSTER_CONTROL', `it would not start again; ${goesOn}`);
  } finally {
    stop();
    process.off('exit', stop);
    for (const stream of child.stdio) stream?.destroy();
  }
}

/** With what it has written; a process that it has left behind may keep its output open. */
function exitOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve(code ?? 1));
    child.once('exit', (code) => setTimeout(() => resolve(code ?? 1), LAST_WORDS).unref());
  });
}

/** The end of it, where it is long. */
function collect(stream: Readable): { text: string } {
  const collected = { text: '' };
  const add = (chunk: string) => { collected.text = (collected.text + chunk).slice(-KEPT); };
  stream.setEncoding('utf8').on('error', () => {}).on('data', add);
  return collected;
}

/** What it will listen on. An app that listens elsewhere than it was told does not care what it is told now. */
function wantedOf({ listen: wanted, ports }: Rehearsal, launch: Launch | null): Wanted[] {
  if (!launch) return wanted.byDefault || wanted.path !== undefined ? ports : [wanted, ...ports];
  const { listen: told, address } = launch;
  const heeds = address ? told.path === address.path && [0, address.port].includes(told.port) : !wanted.byDefault;
  if (!heeds || (wanted.path !== undefined && wanted.path === told.path)) return ports;
  // Where nobody says on which address, the app does.
  return [{ ...wanted, host: wanted.host ?? (address?.port === wanted.port ? address?.host : undefined) }, ...ports];
}

/**
 * Only by listening can one know: on all at the same time, as two of them may be the same. In the place of a port that the
 * instance itself has as yet stands a free one, so that its address is looked at, and who else wants it.
 */
async function assertFree(rehearsal: Rehearsal, launch: Launch | null, goesOn: string): Promise<void> {
  const isOwn = (port: number) => !launch || [launch.listen.port, launch.address?.port, ...launch.ports].includes(port);
  const instead = new Map<number, number>();
  const held: { server: Server; wanted: Wanted }[] = [];
  try {
    for (const wanted of wantedOf(rehearsal, launch)) {
      const { port = 0, host, path: socket } = wanted;
      if (port !== 0 && isOwn(port) && !instead.has(port)) instead.set(port, await freePort());
      const server = createServer((client) => { client.destroy(); });
      try {
        if (socket !== undefined) await removeStaleSocket(socket);
        await listen(server, socket === undefined ? { port: instead.get(port) ?? port, host, exclusive: true } : { path: socket });
        held.push({ server, wanted });
      } catch (error) {
        const rival = held.find((one) => port !== 0 && one.wanted.port === port);
        throw refusal(`${listenFault(wanted, error as NodeJS.ErrnoException, rival?.wanted)}; ${goesOn}`);
      }
    }
  } finally {
    await Promise.all(held.map(({ server }) => new Promise((resolve) => server.close(resolve))));
  }
}

function listenFault({ where, whereHost, port }: Wanted, { message, code = '' }: NodeJS.ErrnoException, rival?: Wanted): string {
  if (rival && code === 'EADDRINUSE') return `${where}: port ${port} is wanted twice, as ${rival.where} has it`;
  const place = ['EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN'].includes(code) ? whereHost : where;
  // The port may be the one that stands in for it.
  const said = code === 'EADDRNOTAVAIL' ? message.replace(/:\d+$/, '') : message;
  return `${place}: ${listenErrorInWords(said) ?? said}`;
}

/** One that nobody has on any address. */
async function freePort(): Promise<number> {
  const server = createServer();
  await listen(server, { port: 0 });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
