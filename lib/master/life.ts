/** The life of the whole service, as data. `degraded` is no state of its own: it stands beside running (see Bootstrap). */
export type ServiceState = 'idle' | 'startingAgent' | 'startingWorkers' | 'running' | 'reloading' | 'closing' | 'closed';
export type ServiceEvent = 'start' | 'agentReady' | 'workersReady' | 'reload' | 'reloadDone' | 'close' | 'closed';

export const serviceTable: Readonly<Record<ServiceState, Partial<Record<ServiceEvent, ServiceState>>>> = {
  idle: { start: 'startingAgent', close: 'closing' },
  startingAgent: { agentReady: 'startingWorkers', close: 'closing' },
  startingWorkers: { workersReady: 'running', close: 'closing' },
  running: { reload: 'reloading', close: 'closing' },
  reloading: { reloadDone: 'running', close: 'closing' },
  closing: { closed: 'closed' },
  closed: {},
};
