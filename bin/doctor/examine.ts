import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import path from 'node:path';
import type { LoadRequest } from '../../lib/config/load.js';
import type { InstanceRecord } from '../../lib/control/registry.js';
import { ClusterError } from '../../lib/kit/errors.js';
import { ownVersion } from '../../lib/kit/package.js';
import { ControlClient } from '../client.js';
import { locate, type Wanted } from '../locate.js';
import { logPlaces } from '../log-files.js';
import { appFacts, certificateFacts, logFault, placeFacts, portFacts, read } from './app.js';
import type { Facts, RunningFacts } from './facts.js';
import { limitOf, machineFacts } from './machine.js';
import { orchestratorOf } from './orchestrator.js';

/** How long the app may take to answer, ms. */
const ANSWER = 2_000;

export interface Examination {
  load: LoadRequest;
  wanted: Wanted;
  /** Seconds that whoever stops the service waits, as a person says. */
  grace?: number;
}

/** Looks at everything, and changes nothing but stale records, which every command removes. */
export async function examine({ load, wanted, grace }: Examination): Promise<Facts> {
  const { loaded, mistakes } = await read(load);
  const log = loaded && logPlaces({ title: loaded.config.title, dir: loaded.target.dir, realDir: loaded.target.realDir })[0];
  // Before anybody looks for the instance, which removes what is stale.
  const places = await placeFacts(loaded, log ? { file: log, failure: logFault(log) } : null);
  const record = await located(wanted);
  const running = record instanceof ClusterError ? record.message : record && await runningFacts(record);
  const own = running !== null && typeof running === 'object' ? await portsOf(record as InstanceRecord) : [];
  const dir = loaded?.target.dir ?? null;
  const [, major = 0, minor = 0] = /^v(\d+)\.(\d+)/.exec(process.version)?.map(Number) ?? [];
  return {
    own: {
      version: ownVersion(), node: process.version, fits: major > 20 || (major === 20 && minor >= 19), path: process.execPath,
      platform: process.platform, uid: process.getuid?.() ?? null,
    },
    machine: await machineFacts(dir),
    orchestrator: await orchestratorOf(dir, { grace, pid: typeof running === 'object' ? running?.pid : undefined }),
    config: loaded?.config ?? null,
    mistakes,
    unused: loaded?.unused.map((file) => path.relative(process.cwd(), file)) ?? [],
    hasAgent: Boolean(loaded?.target.entry.agent ?? loaded?.target.entry.framework),
    app: loaded && await appFacts(loaded),
    ports: loaded ? await portFacts(loaded, own) : [],
    places,
    certificate: loaded && certificateFacts(loaded),
    running,
    now: Date.now(),
  };
}

/** Null: none is running. An error: it could be several. */
async function located(wanted: Wanted): Promise<InstanceRecord | ClusterError | null> {
  try {
    return await locate(wanted);
  } catch (error) {
    if (!(error instanceof ClusterError)) throw error;
    return error.code === 'ERR_CLUSTER_NOT_RUNNING' ? null : error;
  }
}

async function runningFacts(record: InstanceRecord): Promise<RunningFacts | string> {
  const client = new ControlClient(record);
  try {
    const [status, launch] = await Promise.all([client.status(), client.launch()]);
    return {
      status, pid: record.pid, openFiles: limitOf('Max open files', record.pid),
      keepAlive: status.address === null ? null : await keepAliveOf(status.address), nodeEnv: nodeEnvOf(record, launch?.env.NODE_ENV),
    };
  } catch (error) {
    return (error as Error).message;
  }
}

/** Of a `start`: dev has its own. */
const nodeEnvOf = ({ command }: InstanceRecord, given: string | undefined): string | null => command === 'dev' ? null : given || null;

/** Ports that the running instance has, or may have. */
async function portsOf(record: InstanceRecord): Promise<number[]> {
  const launch = await new ControlClient(record).launch().catch(() => null);
  return launch ? [launch.listen.port, launch.address?.port, ...launch.ports].filter((port) => port !== undefined) : [];
}

/**
 * What an answer says of how long an idle connection is kept, s. `OPTIONS *` asks for nothing but an answer (RFC 9110, 9.3.7).
 * Null where there is none, or no word about it.
 */
function keepAliveOf(address: string): Promise<number | null> {
  if (!/^https?:/.test(address)) return Promise.resolve(null);
  const { hostname, port, protocol } = new URL(address);
  const request = protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const asked = request({
      hostname: hostname.replace(/^\[(.*)\]$/, '$1'), port, method: 'OPTIONS', path: '*', agent: false, rejectUnauthorized: false,
      headers: { Connection: 'keep-alive' }, signal: AbortSignal.timeout(ANSWER),
    }, ({ headers, socket }) => {
      const told = /timeout=(\d+)/.exec(String(headers['keep-alive'] ?? ''))?.[1];
      socket.destroy();
      resolve(told === undefined ? null : Number(told));
    });
    asked.on('error', () => resolve(null)).end();
  });
}

