import { CommandError } from './command.ts'

const signals = ['SIGINT', 'SIGTERM'] as const

/** Work that whoever is at the terminal may end: its signal is aborted then, with a CommandError that says `text`. */
export const untilInterrupted = async <T>(text: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
  const interrupted = new AbortController()
  const interrupt = () => interrupted.abort(new CommandError(text))
  for (const signal of signals) process.once(signal, interrupt)
  try {
    return await work(interrupted.signal)
  } finally {
    for (const signal of signals) process.removeListener(signal, interrupt)
  }
}
