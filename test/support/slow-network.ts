import { createServer, type Server, Socket } from 'node:net';

/** A host as it looks from far away: connections to `address` reach it with a delay. */
export interface DistantHost {
  address: string;
  close(): Promise<void>;
}

// On this address of the loopback interface nothing else listens.
const address = '127.0.83.1';

/**
 * Puts a distance between this computer and the ports of a host: what is sent arrives after half of the round trip,
 * and a connection takes as long to open as it would over such a line. The bandwidth has no limit.
 */
export async function distantHost(
  host: string,
  ports: readonly { here: number; there: number }[],
  roundTripMilliseconds: number,
): Promise<DistantHost> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    // Its own waiting for full packets would come on top.
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // Both ends are closed by the other's end.
    socket.on('error', () => {});
  };
  const oneWay = roundTripMilliseconds / 2;
  const carry = (from: Socket, to: Socket) => {
    // One timer after the other fires in the order in which they were set, so nothing overtakes.
    from.on('data', (data) => setTimeout(() => to.writable && to.write(data), oneWay)).resume();
    from.once('end', () => setTimeout(() => to.end(), oneWay));
    from.once('close', () => setTimeout(() => to.destroySoon(), oneWay));
  };
  const accept = (near: Socket, port: number) => {
    const far = new Socket();
    for (const socket of [near, far]) keep(socket);
    far.once('error', () => near.destroy());
    // The handshake takes no time here. Over a real line a visitor may send after a round trip, and the host may when
    // the visitor's last packet of the handshake has reached it, half a round trip later.
    setTimeout(() => {
      setTimeout(() => far.connect(port, host), oneWay);
      carry(near, far);
      carry(far, near);
    }, 2 * oneWay);
  };
  const servers = await Promise.all(
    ports.map(
      ({ here, there }) =>
        new Promise<Server>((resolve, reject) => {
          const server = createServer({ pauseOnConnect: true }, (socket) => accept(socket, there));
          server.once('error', reject);
          server.listen(here, address, () => resolve(server));
        }),
    ),
  );
  return {
    address,
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}
