/** Bounds on what outsiders can make us hold or wait for. Counts, octets and milliseconds; the unit is in the name. */

/** Connections, before a command parser sees an octet. Timeouts after login are options. */
export const connectionLimits = {
  /** Sum of the waits for a client that has not logged in. */
  loginWaitMs: 60_000,
  tlsHandshakeMs: 10_000,
  /** A client that takes no octet for this long is cut. */
  writeStallMs: 300_000,
  /** The same for a client whose queue has grown to `max_net_buffer`. */
  fullQueueStallMs: 30_000,
  /** How long a closed connection waits for the client to close too. */
  lingerMs: 2_000,
  /** Connections of a worker process, whatever their state. */
  total: 16_384,
  /** Of a worker: connections that have not logged in. The rest of `total` is kept for those who have. */
  unauthenticated: 4_096,
  /** The same, per IPv4 address or IPv6 /64. */
  unauthenticatedPerAddress: 100,
} as const
