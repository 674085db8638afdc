/** Bounds on what outsiders can make us hold or wait for. Counts, octets and milliseconds; the unit is in the name. */

/** Connections, before a command parser sees an octet. Timeouts after login are options. */
export const connectionLimits = {
  /** Sum of the waits for a client that has not logged in. */
  loginWaitMs: 60_000,
  tlsHandshakeMs: 10_000,
  /** A client that takes no octet for this long is cut. */
  writeStallMs: 300_000,
  /** The same for a client whose queue has grown to `max_net_buffer`. Linux tells progress in thirds of a send buffer (4 MB at most). */
  fullQueueStallMs: 120_000,
  /** How long a closed connection waits for the client to close too. */
  lingerMs: 2_000,
  /** Connections of a worker process, whatever their state. */
  total: 16_384,
  /** Of a worker: connections that have not logged in. The rest of `total` is kept for those who have. */
  unauthenticated: 4_096,
  /** The same, per IPv4 address or IPv6 /64. */
  unauthenticatedPerAddress: 100,
} as const

/**
 * A message's structure. Limits are counts, never time, so that a message has the same structure in every session. What lies behind
 * a limit is not lost: it is content of the part that it lies in.
 */
export const mimeLimits = {
  /** Parts inside one another, the message itself counted; a deeper multipart or message is one opaque leaf. */
  depth: 100,
  /** Parts of a message; the last one runs to the end of the message. */
  parts: 10_000,
  /** Of one header; fields that do not end before are not seen. */
  headerOctets: 1024 * 1024,
  /** Of all headers of a message, in their order. */
  headersOctets: 8 * 1024 * 1024,
  /** A longer boundary counts as missing; RFC 2046 §5.1.1 allows 70, broken writers take more. */
  boundaryOctets: 256,
  /** Of one Content-Type or Content-Disposition, and of a list of languages; the first are kept. */
  parameters: 128,
  /** Of one address field; the first are kept (and the end of a group that is cut). */
  addresses: 10_000,
  /** Of all address fields of a message and of the messages in it. */
  messageAddresses: 50_000,
} as const

/** Octets of one annotation. RFC 5464 §4.1 wants 1024 at least. */
export const maxMetadataOctets = 16_384
