/** The parent of a service's workers: starts them, keeps them alive, hands signals on. It reads no octet of a client. */
import { onStopSignal, type Process, roleVariable } from './process.ts'
import { refreshOf } from './refresh.ts'
import { KeptProcess, report } from './supervision.ts'
import { stopGraceMs } from './worker.ts'

/** For workers to stop before they are killed. */
const workerStopMs = stopGraceMs + 5_000

/** Ends the process when every worker has ended. Throws StartError when one can't start. */
export async function runParent(own: Process, count: number): Promise<void> {
  const { daemon, log, reopenLog } = own
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  let living = count
  const workers = Array.from({ length: count }, (_, index) => {
    const name = count === 1 ? daemon.name : `${daemon.name} worker ${index + 1} of ${count}`
    return new KeptProcess({
      name,
      main: process.argv[1]!,
      args: process.argv.slice(2),
      env: (again) => ({ [roleVariable]: `worker ${index}/${count}${again ? ' again' : ''}` }),
      log,
      onEnd: () => {
        if (--living === 0) resolve()
      },
    })
  })
  let stopping: Promise<unknown> | undefined
  const stop = () => (stopping ??= Promise.all(workers.map((worker) => worker.stop(workerStopMs))))
  onStopSignal(stop)
  process.on('SIGHUP', () => {
    try {
      reopenLog()
    } catch (error) {
      log.log('err', 'the log file can not be opened again', { reason: (error as Error).message })
    }
    reload()
  })
  const reload = () => {
    for (const worker of workers) worker.signal('SIGHUP')
  }
  if (process.env[roleVariable] === 'supervised') process.on('disconnect', stop)
  try {
    // The first one alone: it finds out whether the addresses are free.
    const addresses = await workers[0]!.start()
    await Promise.all(workers.slice(1).map((worker) => worker.start()))
    log.log('notice', 'running', { workers: count })
    await report({ type: 'ready', addresses })
    refreshOf(own, reload)
  } catch (error) {
    await stop()
    throw error
  }
  await ended
  await stopping
  log.log('notice', 'stopped')
  // The channel to a supervisor would keep the process.
  process.exit(0)
}
