import type { AdaptiveStatus, ChildStatus, OverloadStatus, Status } from '../../lib/index.js';

/** What the status does not tell: counted by the plugin itself. */
export interface Counts {
  reloads: { ok: number; aborted: number };
  reforks: number;
}

export interface Definition {
  name: string;
  help: string;
  type: 'gauge' | 'counter';
  labels?: readonly string[];
  /** Label values in the order of `labels`, and the value; null: not known yet. */
  values(status: Status, counts: Counts): readonly (readonly [labels: readonly string[], value: number | null])[];
}

const SERVICE_STATES: readonly Status['state'][] = ['starting', 'running', 'reloading', 'degraded', 'closing'];
const CHILD_STATES: readonly ChildStatus['state'][] = ['waiting', 'forked', 'booting', 'ready', 'draining', 'killing'];

/** health-check's additions to the status. */
interface Slot { slot: number; requests: number; cpu: number; exits: Record<string, number> }
const slotsOf = (status: Status): Slot[] => status.slots as Slot[] | undefined ?? [];
const numberIn = (child: ChildStatus, key: string): number | null => typeof child[key] === 'number' ? child[key] : null;

/** Workers, or the app where its process is the only one. */
const allOf = ({ workers, app }: Status): ChildStatus[] => (app ? [app] : workers);

/** The process that serves each slot, or is next to; a slot that drains and boots at once has several. */
function workersBySlot(status: Status): ChildStatus[] {
  const bySlot = new Map<number, ChildStatus>();
  for (const worker of allOf(status)) {
    const known = bySlot.get(worker.slot);
    if (!known || (known.state !== 'ready' && worker.state === 'ready')) bySlot.set(worker.slot, worker);
  }
  return [...bySlot.values()];
}

type Type = Definition['type'];

const perWorker = (name: string, help: string, value: (worker: ChildStatus) => number | null, type: Type = 'gauge'): Definition => ({
  name: `hatchery_worker_${name}`, help, type, labels: ['slot'],
  values: (status) => workersBySlot(status).map((worker) => [[String(worker.slot)], value(worker)]),
});
const perSlot = (name: string, help: string, value: (slot: Slot) => number): Definition => ({
  name: `hatchery_worker_${name}`, help, type: 'counter', labels: ['slot'],
  values: (status) => slotsOf(status).map((slot) => [[String(slot.slot)], value(slot)]),
});
const ofAgent = (name: string, help: string, value: (agent: ChildStatus) => number | null, type: Type = 'gauge'): Definition =>
  ({ name: `hatchery_agent_${name}`, help, type, values: ({ agent }) => agent ? [[[], value(agent)]] : [] });
const single = (name: string, help: string, value: (status: Status, counts: Counts) => number | null, type: Type = 'gauge'): Definition =>
  ({ name: `hatchery_${name}`, help, type, values: (status, counts) => [[[], value(status, counts)]] });

const ofRange = (name: string, help: string, value: (adaptive: AdaptiveStatus) => number): Definition =>
  ({ name: `hatchery_workers_${name}`, help, type: 'gauge', values: ({ adaptive }) => adaptive ? [[[], value(adaptive)]] : [] });

/** Of plugin overload; nothing where it is off. */
const sheds = (worker: ChildStatus) => worker.overload as { over: boolean; wait: number } | undefined;
const ofOverload = (name: string, help: string, values: (overload: OverloadStatus) => ReturnType<Definition['values']>,
  labels: readonly string[] = []): Definition =>
  ({ name: `hatchery_${name}`, help, type: 'counter', labels, values: ({ overload }) => overload ? values(overload) : [] });

const seconds = (ms: number | null): number | null => ms === null ? null : ms / 1000;

export const definitions: readonly Definition[] = [
  {
    name: 'hatchery_info', help: 'The instance; always 1.', type: 'gauge', labels: ['title', 'version', 'node'],
    values: ({ title, version, node }) => [[[title, version, node], 1]],
  },
  {
    name: 'hatchery_state', help: 'State of the service: 1 for the one it is in.', type: 'gauge', labels: ['state'],
    values: ({ state }) => SERVICE_STATES.map((one) => [[one], Number(one === state)]),
  },
  single('start_time_seconds', 'When the master started, since the epoch.', ({ startedAt }) => Date.parse(startedAt) / 1000),
  single('master_resident_memory_bytes', 'Resident memory of the master.', ({ master }) => master.rss),
  single('faults_total', 'Errors in the master that nobody waits for, logged and survived.', ({ faults }) => faults, 'counter'),
  single('workers_ready', 'Workers that are ready.', (status) => allOf(status).filter(({ state }) => state === 'ready').length),
  ofRange('min', 'The fewest workers that there are to be, where their number follows the load.', ({ min }) => min),
  ofRange('max', 'The most workers that there are to be, where their number follows the load.', ({ max }) => max),
  {
    name: 'hatchery_worker_moves_total', help: 'Changes of the number of workers, by direction and cause.', type: 'counter',
    labels: ['direction', 'cause'],
    values: ({ adaptive }) => adaptive?.moves.map(({ direction, cause, count }) => [[direction, cause], count]) ?? [],
  },
  {
    name: 'hatchery_worker_moves_held_total', help: 'How often the load began to ask for more workers and got none, by reason.',
    type: 'counter', labels: ['reason'], values: ({ adaptive }) => adaptive?.holds.map(({ by, count }) => [[by], count]) ?? [],
  },
  ofOverload('requests_shed_total', 'Requests that workers have shed, by slot and priority.', ({ slots }) =>
    slots.flatMap(({ slot, shed }) => Object.entries(shed).map(([priority, count]) => [[String(slot), priority], count] as const)),
  ['slot', 'priority']),
  ofOverload('overloaded_connections_total', 'Connections that came while all workers were over their limits, by what the master did: '
    + 'answered (shed), passed on by their priority (passed), as nothing came (silent) or unread (full); gone by themselves.',
  ({ acceptor }) => Object.entries(acceptor).map(([outcome, count]) => [[outcome], count] as const), ['outcome']),
  ofOverload('connections_picked_total', 'Connections that were handed to the least busy worker.', ({ picks }) => [[[], picks]]),
  single('requests_cut_total', 'Requests that were cut, at the deadline of a worker that drained or as that was killed.',
    ({ cut }) => cut, 'counter'),
  single('streams_moved_total', 'Event streams and WebSockets ended as their worker closed, whose clients come back by themselves.',
    ({ moved }) => typeof moved === 'number' ? moved : null, 'counter'),
  single('ducks', 'Workers that were replaced and only finish their streams.', ({ ducks }) => ducks.length),
  single('reforks_total', 'Workers forked again after a death that nobody asked for.', (_status, { reforks }) => reforks, 'counter'),
  single('refork_window_deaths', 'Such deaths within the window of refork.duration.', ({ refork }) => refork.inWindow),
  single('refork_limit', 'How many of them reach the limit.', ({ refork }) => refork.limit),
  {
    name: 'hatchery_reloads_total', help: 'Rolling reloads by their result.', type: 'counter', labels: ['result'],
    values: (_status, { reloads }) => Object.entries(reloads).map(([result, count]) => [[result], count]),
  },
  {
    name: 'hatchery_worker_state', help: 'State of the process that serves a slot: 1 for the one it is in.', type: 'gauge',
    labels: ['slot', 'state'],
    values: (status) => workersBySlot(status).flatMap(({ slot, state }) =>
      CHILD_STATES.map((one) => [[String(slot), one], Number(one === state)] as const)),
  },
  perWorker('start_time_seconds', 'When the process of a slot was forked, since the epoch.',
    ({ startedAt }) => startedAt === null ? null : Date.parse(startedAt) / 1000),
  perWorker('resident_memory_bytes', 'Resident memory.', ({ rss }) => rss),
  perWorker('heap_used_bytes', 'JavaScript heap in use.', (worker) => numberIn(worker, 'heapUsed')),
  perWorker('heap_limit_bytes', 'JavaScript heap that V8 allows.', (worker) => numberIn(worker, 'heapLimit')),
  perWorker('event_loop_delay_seconds', 'Longest wait of a timer since the sample before.',
    ({ eventLoopDelay }) => seconds(eventLoopDelay)),
  perWorker('event_loop_utilization_ratio', 'Share of the time that the event loop was busy since the sample before.',
    ({ eventLoopUtilization }) => eventLoopUtilization),
  perWorker('overloaded', 'Whether it is over its limit, and sheds requests.', (worker) =>
    sheds(worker) ? Number(sheds(worker)?.over) : null),
  perWorker('request_wait_seconds', 'What requests wait for the event loop, in the mean.',
    (worker) => seconds(sheds(worker)?.wait ?? null)),
  perWorker('connections', 'Open connections.', (worker) => numberIn(worker, 'connections')),
  perWorker('restarts_total', 'Processes that followed the first one in a slot.', ({ restarts }) => restarts, 'counter'),
  perSlot('cpu_seconds_total', 'Processor time, over all processes of a slot.', ({ cpu }) => cpu / 1000),
  perSlot('requests_total', 'Requests, over all processes of a slot.', ({ requests }) => requests),
  {
    name: 'hatchery_worker_exits_total', help: 'Processes of a slot that ended, by cause.', type: 'counter', labels: ['slot', 'cause'],
    values: (status) => slotsOf(status).flatMap(({ slot, exits }) =>
      Object.entries(exits).map(([cause, count]) => [[String(slot), cause], count] as const)),
  },
  ofAgent('up', 'Whether the agent is ready.', ({ state }) => Number(state === 'ready')),
  ofAgent('resident_memory_bytes', 'Resident memory of the agent.', ({ rss }) => rss),
  ofAgent('event_loop_delay_seconds', 'Longest wait of a timer in the agent since the sample before.',
    ({ eventLoopDelay }) => seconds(eventLoopDelay)),
  ofAgent('restarts_total', 'Agents that followed the first one.', ({ restarts }) => restarts, 'counter'),
];
