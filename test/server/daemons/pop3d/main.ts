/** A daemon for tests of process life: answers each line with its process id and what it knows. */
import { runDaemon } from '#src/server/daemon.ts'
import { serveClients } from '#src/server/serve.ts'

await runDaemon({
  name: 'pop3d',
  workers: 'per-core',
  async start(runtime) {
    let buffer = runtime.config.get('max_net_buffer')
    const clients = await serveClients(runtime, {
      plain: 'pop3',
      refusal: '-ERR too many\r\n',
      async serve(connection) {
        connection.authenticated()
        connection.setIdleTimeout(600_000)
        const bye = () => {
          connection.write('bye\r\n')
          void connection.close()
        }
        connection.stopping.addEventListener('abort', bye, { once: true })
        connection.write(`hello ${process.pid} ${buffer}\r\n`)
        for (let octets = await connection.read(); octets; octets = await connection.read()) {
          const line = octets.toString('latin1').trim()
          if (line === 'defect') setImmediate(() => Promise.reject(new Error('a defect, as asked')))
          else connection.write(`${line}\r\n`)
        }
      },
    })
    return {
      addresses: clients.addresses,
      stop: (graceMs) => clients.stop(graceMs),
      async reload(config) {
        buffer = config.get('max_net_buffer')
        return clients.reload(config)
      },
    }
  },
})
