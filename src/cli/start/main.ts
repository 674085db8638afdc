/**
 * `npm start`: a whole gateway in the foreground on loopback, for a first look. Behind it stands a demonstration provider
 * (our own pop3d over a second small store), or the real server that `--backend` names.
 */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { openAccounts } from '../../auth/accounts.ts'
import { makeVerifiers } from '../../auth/verifier.ts'
import type { UserId } from '../../base/ids.ts'
import { makeLog } from '../../server/log/log.ts'
import { stderrTarget } from '../../server/log/targets.ts'
import { type ServiceSet, superviseServices } from '../mbox/supervise.ts'
import { type BackendUrl, parseBackendUrl } from './backend-url.ts'
import { deliverToProvider, demoPassword, demoUser, isProviderFilled, sampleMessages } from './demo-mail.ts'
import { choosePorts } from './ports.ts'
import { type Ports, writeDemoProvider, writeGateway } from './state.ts'

const usage = `npm start: a gateway in the foreground, on loopback

  npm start                                       with a demonstration provider behind it
  npm start -- --backend pops://pop.example.net   with a real one: pop, pops, imap or imaps, :PORT if unusual
  npm start -- --json                             print one line of JSON when everything answers
  npm start -- --state DIRECTORY                  keep mail and configuration there (default: var)

Ctrl-C stops it. What it fetched is kept for the next start.`

interface Arguments {
  readonly backend: BackendUrl | undefined
  readonly json: boolean
  readonly stateDirectory: string
}

/** Undefined when only help was asked for. Throws Error with what is wrong. */
function readArguments(argv: readonly string[]): Arguments | undefined {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      backend: { type: 'string' },
      json: { type: 'boolean' },
      state: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help) return undefined
  return {
    backend: values.backend === undefined ? undefined : parseBackendUrl(values.backend),
    json: values.json ?? false,
    stateDirectory: resolve(values.state ?? 'var'),
  }
}

async function fillProvider(userDirectory: string, accountDirectory: string): Promise<void> {
  const accounts = openAccounts(accountDirectory)
  const userId = `${demoUser}@provider.example` as UserId
  if ((await accounts.find(userId)) === undefined)
    await accounts.add({
      userId,
      state: 'enabled',
      verifiers: makeVerifiers(Buffer.from(demoPassword)),
      services: {},
      properties: [],
    })
  if (!(await isProviderFilled(userDirectory))) await deliverToProvider(userDirectory, sampleMessages())
}

function tellHuman(ports: Ports, backend: BackendUrl | undefined, configFile: string): string {
  const user = backend === undefined ? demoUser : 'YOUR-USER'
  const password = backend === undefined ? demoPassword : 'YOUR-PASSWORD'
  const behind =
    backend === undefined
      ? `the demonstration provider, POP3 only, at 127.0.0.1:${ports.demoPop3}`
      : `${backend.protocol}://${backend.host}${backend.port === undefined ? '' : `:${backend.port}`}; log in with your user name and password there`
  return `
Wherry is running. Behind it: ${behind}.

  IMAP   127.0.0.1:${ports.imap}   user ${user}   password ${password}
  POP3   127.0.0.1:${ports.pop3}   the same
  LMTP   127.0.0.1:${ports.lmtp}   takes mail for whoever has logged in once

  curl 'imap://127.0.0.1:${ports.imap}/INBOX?ALL' --user ${user}:${password}
  bin/msstat -c ${configFile}
${backend === undefined ? '  npm run --silent demo:deliver        a new message arrives at the provider\n' : ''}
Ctrl-C stops it.
`
}

async function start({ backend, json, stateDirectory }: Arguments): Promise<void> {
  // a visitor's terminal: what matters, unless asked for more
  process.env.WHERRY_LOG_LEVEL ??= 'notice'
  const ports = await choosePorts()
  const gateway = await writeGateway(resolve(stateDirectory, 'gateway'), ports, backend)
  const sets: ServiceSet[] = [
    {
      configFile: gateway.configFile,
      services: ['mseventd', 'ms_syncd', 'imapd', 'pop3d', 'lmtpd'],
      prefix: 'gateway ',
    },
  ]
  if (backend === undefined) {
    const provider = await writeDemoProvider(resolve(stateDirectory, 'demo'), ports)
    await fillProvider(provider.userDirectory, provider.accountDirectory)
    sets.unshift({ configFile: provider.configFile, services: ['mseventd', 'pop3d'], prefix: 'provider' })
  }
  const log = makeLog({ daemon: 'start', label: undefined, target: stderrTarget, format: 'text', least: 'notice' })
  const services = await superviseServices({ sets, log, onOutput: (line) => process.stderr.write(line) })
  const stop = () => void services.stop()
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  const host = '127.0.0.1'
  const credentials = backend === undefined ? { user: demoUser, password: demoPassword } : {}
  if (json)
    console.log(
      JSON.stringify({
        imap: { host, port: ports.imap },
        pop3: { host, port: ports.pop3 },
        lmtp: { host, port: ports.lmtp },
        ...credentials,
      }),
    )
  else console.log(tellHuman(ports, backend, gateway.configFile))
  await services.ended
}

try {
  const wanted = readArguments(process.argv.slice(2))
  if (wanted === undefined) console.log(usage)
  else await start(wanted)
} catch (error) {
  console.error(`npm start: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
}
