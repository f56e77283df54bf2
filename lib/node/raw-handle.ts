/** A raw libuv handle (TCP or Pipe) as node:cluster passes it around. */
export interface RawHandle {
  close(callback?: () => void): void;
  getsockname?(out: { address?: string; family?: string; port?: number }): number;
  getpeername?(out: { address?: string; family?: string; port?: number }): number;
  onconnection?: ((error: number, client?: RawHandle) => void) | undefined;
  fd?: number;
}
