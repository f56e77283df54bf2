import net, { type AddressInfo } from 'node:net';

/** A free port on the loopback interface: Egg's agent serves its workers there (`clusterPort` of a framework's options). */
export function freeClusterPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
