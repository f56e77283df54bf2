import type { Config } from '../lib/config/schema.js';

export interface UnitRequest {
  config: Config;
  /** Where it was asked for: relative paths among the flags count from here. */
  cwd: string;
  /** Absolute. */
  target: string;
  /** Flags of `start` that the unit keeps. */
  flags: readonly string[];
  user: string;
  /** The command line's own file. */
  bin: string;
}

/** What systemd waits longer than we do, s. */
const MARGIN = 5;
const GRACE = { timeout: 30_000, agentTimeout: 5_000, shutdownDelay: 0 };

/** One word of ExecStart=, in systemd's own quoting: `%` and `$` mean something to it. */
const quote = (word: string): string => {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /[\s"'\\;]/.test(escaped) || escaped === '' ? `"${escaped}"` : escaped;
};

export function serviceUnit({ config, cwd, target, flags, user, bin }: UnitRequest): string {
  const { title, startTimeout, plugins } = config;
  const graceful = plugins['graceful-exit'];
  const { timeout, agentTimeout, shutdownDelay } = { ...GRACE, ...(typeof graceful === 'object' ? graceful as Partial<typeof GRACE> : {}) };
  const seconds = (ms: number): number => Math.ceil(ms / 1000) + MARGIN;
  return `# /etc/systemd/system/${fileName(title)}.service
[Unit]
Description=${title}
After=network-online.target
Wants=network-online.target

[Service]
Type=notify
# systemd-notify, a process of its own, tells how the service is.
NotifyAccess=all
User=${user}
WorkingDirectory=${cwd.replaceAll('%', '%%')}
Environment=NODE_ENV=production
ExecStart=${[process.execPath, bin, 'start', target, ...flags].map(quote).join(' ')}
# A rolling reload: no request is lost.
ExecReload=/bin/kill -HUP $MAINPID
# The master stops its children itself; what is left is killed.
KillMode=mixed
TimeoutStartSec=${seconds(startTimeout * 2)}
TimeoutStopSec=${seconds(timeout + agentTimeout + shutdownDelay)}
WatchdogSec=30
Restart=on-failure
RestartSec=1
# A mistake in the configuration does not mend itself.
RestartPreventExitStatus=2

[Install]
WantedBy=multi-user.target
`;
}

export function socketUnit({ title, port, host, path }: Config): string {
  const address = path ?? (host === undefined ? String(port) : `${host.includes(':') ? `[${host}]` : host}:${port}`);
  return `# /etc/systemd/system/${fileName(title)}.socket
[Unit]
Description=${title} (socket)

[Socket]
ListenStream=${address}
Backlog=511
NoDelay=true

[Install]
WantedBy=sockets.target
`;
}

const fileName = (title: string): string => title.replace(/[^\w.@-]+/g, '-').replace(/^-+/, '');
