import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'

const startDeadlineMs = 20_000

/** Resolves when something listens at the port; rejects when the server ends, or the deadline passes, before. */
export async function answers(port: number, server: ChildProcess): Promise<void> {
  const deadline = performance.now() + startDeadlineMs
  while (performance.now() < deadline) {
    if (server.exitCode !== null) throw new Error(`ended with status ${server.exitCode}`)
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect')
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20))
    } finally {
      socket.destroy()
    }
  }
  throw new Error(`port ${port} does not answer`)
}
