import { createSocket } from 'node:dgram';
import { type Answer, decode, encode, type Packet } from 'dns-packet';

/** Records of a zone: by name and type, as dns-packet writes their data. */
export type Records = Record<string, Partial<Record<'A' | 'AAAA' | 'CAA' | 'CNAME', unknown[]>>>;

export interface NameServer {
  /** For Resolver.setServers. */
  address: string;
  close(): Promise<void>;
}

/**
 * A DNS server, on loopback unless told otherwise, that answers from a table, follows CNAMEs as a resolver does, and says NXDOMAIN for names
 * that are not there. `silent` never answers; `failing` says SERVFAIL.
 */
export async function startNameServer(
  records: Records,
  behaviour: 'answering' | 'silent' | 'failing' = 'answering',
  at: { address: string; port: number } = { address: '127.0.0.1', port: 0 },
): Promise<NameServer> {
  const socket = createSocket('udp4');
  socket.on('message', (message, { port, address }) => {
    if (behaviour === 'silent') return;
    const query = decode(message);
    const answers = (query.questions ?? []).flatMap(({ name, type }) => find(records, name, type));
    const known = (query.questions ?? []).some(({ name }) => records[name.toLowerCase()]);
    const code = behaviour === 'failing' ? 2 : known ? 0 : 3;
    const reply: Packet = {
      type: 'response',
      id: query.id ?? 0,
      flags: 0x0180 | code,
      questions: query.questions ?? [],
      answers: code === 0 ? answers : [],
    };
    socket.send(encode(reply), port, address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(at.port, at.address, resolve);
  });
  return {
    address: `${at.address}:${socket.address().port}`,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

function find(records: Records, name: string, type: string): Answer[] {
  const own = records[name.toLowerCase()] ?? {};
  const answer = (kind: string) => (data: unknown) => ({ name, type: kind, ttl: 60, data }) as Answer;
  const [alias] = own.CNAME ?? [];
  if (alias) return [answer('CNAME')(alias), ...find(records, String(alias), type)];
  return (own[type as keyof typeof own] ?? []).map(answer(type));
}
