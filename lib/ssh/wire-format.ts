/** The data types of the SSH protocol that keys are made of (RFC 4251, section 5). */

/** A byte sequence with its length before it. */
export function sshString(value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value as Uint8Array);
  return Buffer.concat([uint32(bytes.length), bytes]);
}

/** A number of 32 bits, the highest first. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A positive number of any size, given by its bytes: a zero goes before it where it would read as negative. */
export function multiplePrecisionInteger(magnitude: Uint8Array): Buffer {
  const first = magnitude.findIndex((byte) => byte !== 0);
  const bytes = first < 0 ? Buffer.alloc(0) : Buffer.from(magnitude.subarray(first));
  return sshString((bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

/** Reads these types one after the other. Throws a RangeError where the data end too early. */
export class WireReader {
  readonly #data: Buffer;
  #offset = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  uint32(): number {
    const value = this.#data.readUInt32BE(this.#offset);
    this.#offset += 4;
    return value;
  }

  string(): Buffer {
    const length = this.uint32();
    return this.bytes(length);
  }

  bytes(length: number): Buffer {
    const end = this.#offset + length;
    if (end > this.#data.length) throw new RangeError('the data end too early');
    const value = this.#data.subarray(this.#offset, end);
    this.#offset = end;
    return value;
  }
}
