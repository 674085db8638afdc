/** Runs another program to its end, without input. */
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'

/** What it wrote, and how it ended. */
export const runClient = async (command: string, args: readonly string[]) => {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise((resolve) => child.on('close', resolve)),
  ])
  return { said: out + err, status }
}
