/** What systemd tells a service in its environment (sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)). */
export interface Orders {
  /** Where notifications go. */
  notifySocket: string | null;
  /** Milliseconds within which it wants to hear of us. */
  watchdog: number | null;
  /** Listening sockets that it has opened for us. */
  sockets: { fd: number; name: string }[];
}

const FIRST_FD = 3;
const VARIABLES = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID', 'LISTEN_FDS', 'LISTEN_PID', 'LISTEN_FDNAMES'];

/** Takes the orders out of the environment: they are this process's, not its children's. */
export function takeOrders(env: NodeJS.ProcessEnv, pid = process.pid): Orders {
  const { NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES } = env;
  for (const name of VARIABLES) delete env[name];
  const period = Number(WATCHDOG_USEC) / 1000;
  const isMine = (wanted: string | undefined) => wanted === undefined || Number(wanted) === pid;
  const names = LISTEN_FDNAMES?.split(':') ?? [];
  const count = LISTEN_PID !== undefined && isMine(LISTEN_PID) ? Number(LISTEN_FDS) || 0 : 0;
  return {
    notifySocket: NOTIFY_SOCKET || null,
    watchdog: period > 0 && isMine(WATCHDOG_PID) ? period : null,
    sockets: Array.from({ length: count }, (_, n) => ({ fd: FIRST_FD + n, name: names[n] ?? 'unknown' })),
  };
}
