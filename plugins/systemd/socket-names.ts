import { readFileSync, readlinkSync } from 'node:fs';

/**
 * The port or the path that a listening socket of this process is bound to; null when it cannot be told. Read from the
 * kernel's tables, since to open a descriptor in Node is to accept its connections.
 */
export function boundTo(fd: number): string | null {
  try {
    const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`)) ?? [];
    return inode === undefined ? null : portOf(inode) ?? pathOf(inode);
  } catch {
    return null;
  }
}

function portOf(inode: string): string | null {
  for (const table of ['tcp', 'tcp6']) {
    for (const line of rows(`/proc/self/net/${table}`)) {
      const fields = line.trim().split(/\s+/);
      if (fields[9] === inode) return String(parseInt(fields[1]?.split(':')[1] ?? '', 16));
    }
  }
  return null;
}

function pathOf(inode: string): string | null {
  for (const line of rows('/proc/self/net/unix')) {
    const fields = line.trim().split(/\s+/);
    if (fields[6] === inode) return fields[7] ?? null;
  }
  return null;
}

function rows(file: string): string[] {
  try {
    return readFileSync(file, 'latin1').split('\n').slice(1);
  } catch {
    return [];
  }
}
