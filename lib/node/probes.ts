import { messageOf } from '../kit/errors.js';
import { inTime } from '../kit/time.js';
import * as answerParser from './answer-parser.js';
import * as cluster from './cluster-probe.js';
import * as events from './events.js';
import * as handlePipe from './handle-pipe.js';
import * as httpConnections from './http-connections.js';
import * as ipcReader from './ipc-reader.js';
import * as listening from './listening.js';
import * as modules from './modules.js';
import * as ownOutput from './own-output.js';
import * as ofProcess from './process.js';
import * as parkedSocket from './parked-socket.js';
import * as rawSockets from './raw-sockets.js';
import * as spawns from './spawns.js';
import * as wire from './wire.js';

/** Milliseconds for one of them. */
const LIMIT = 2_000;

/** All that we need of Node beyond its documentation; each line of the answer is a promise of Node that does not hold any more. */
const probes: Readonly<Record<string, () => Promise<string | null>>> = {
  'answer-parser': answerParser.probe,
  cluster: cluster.probe,
  'handle-pipe': handlePipe.probe,
  'http-connections': httpConnections.probe,
  'ipc-reader': ipcReader.probe,
  listening: listening.probe,
  modules: modules.probe,
  'own-output': ownOutput.probe,
  'parked-socket': parkedSocket.probe,
  process: ofProcess.probe,
  'raw-sockets': rawSockets.probe,
  spawns: spawns.probe,
  wire: wire.probe,
  // Last, as it stands before every signal and every emitter.
  events: events.probe,
};

async function lineOf(probe: () => Promise<string | null>): Promise<string | null> {
  let uncaught: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => { uncaught = reject; });
  process.on('uncaughtException', uncaught);
  try {
    return await inTime(LIMIT, () => Promise.race([probe(), failed]), () => new Error(`no answer within ${LIMIT} ms`));
  } catch (error) {
    return messageOf(error);
  } finally {
    process.off('uncaughtException', uncaught);
  }
}

/** Prints `{ subject: line | null }` as JSON and exits; `wanted` are subjects, all of them when it is empty. */
async function print(wanted: readonly string[]): Promise<void> {
  const found: Record<string, string | null> = {};
  for (const [subject, probe] of Object.entries(probes)) {
    if (wanted.length === 0 || wanted.includes(subject)) found[subject] = await lineOf(probe);
  }
  process.stdout.write(`${JSON.stringify(found)}\n`, () => process.exit());
}

if (!cluster.playPart() && !ipcReader.playPart()) void print(process.argv.slice(2));
