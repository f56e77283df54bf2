import type { Config } from '../lib/config/schema.js';
import { graceOf, startSeconds, stopSeconds } from './recipe.js';

export interface UnitRequest {
  config: Config;
  /** Where it was asked for: relative paths among the flags count from here. */
  cwd: string;
  /** Absolute. */
  target: string;
  /** Flags of `start` that the unit keeps. */
  flags: readonly string[];
  user: string;
  /** The app runs in the command's process: there is nobody to reload. */
  isAlone: boolean;
  /** The command line's own file. */
  bin: string;
}

/** One word of ExecStart=, in systemd's own quoting: `%` and `$` mean something to it. */
const quote = (word: string): string => {
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /[\s"'\\;]/.test(escaped) || escaped === '' ? `"${escaped}"` : escaped;
};

export function serviceUnit({ config, cwd, target, flags, user, bin, isAlone }: UnitRequest): string {
  const { title } = config;
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
${isAlone ? '' : `# A rolling reload: no request is lost.
ExecReload=/bin/kill -HUP $MAINPID
`}# ${isAlone ? 'It drains' : 'The master stops its children'} itself; what is left is killed.
KillMode=mixed
TimeoutStartSec=${startSeconds(config)}
TimeoutStopSec=${stopSeconds(graceOf(config))}
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
