/** Sieve scripts of an old server, by ManageSieve, among those that the user has here. docs/decisions/0377-sieve-scripts-of-the-old-server.md */
import { backendUrl } from '#gateway/backend/backend-url.ts'
import { BackendError } from '#gateway/backend/errors.ts'
import type { SieveConnection } from '#gateway/backend/managesieve/connection.ts'
import { getScript, listScripts, type ScriptThere } from '#gateway/backend/managesieve/scripts.ts'
import { openSieveLogin } from '#gateway/backend/open-backend.ts'
import { StoreError, SyntaxFault } from '#src/base/errors.ts'
import type { Config } from '#src/config/config.ts'
import { textOf } from '#src/proto/managesieve/arguments.ts'
import { compile } from '#src/sieve/compile.ts'
import { type Script, type ScriptLimits, scriptName, scriptsOf } from '#src/store/scripts.ts'
import type { Findings } from './findings.ts'
import { inTurn, type Turn } from './turn.ts'

/** Not those of ManageSieve clients: a user who had more goes on with them, and makes none in addition. */
const limits: ScriptLimits = { scripts: 1_000, octets: 1_048_576 }
/** So long nobody asks again at a port where nobody was. */
const absentSeconds = 600
const octetsPerKb = 1024

export interface ScriptsTurn extends Turn {
  readonly config: Config
}

/** Throws BackendError when the old server can't be asked, StoreError. */
export const bringScripts = async (turn: ScriptsTurn, findings: Findings): Promise<void> => {
  const { gateway, userId, backend, config } = turn
  const source = backendUrl(backend, userId)
  const account = gateway.store.account(userId)
  await account.ensure()
  const own = scriptsOf(account)
  const before = await own.adopted(source)
  const { fetched, active } = await inSession(turn, async (connection) => {
    const there = await listScripts(connection)
    return { fetched: await fetchAll(connection, there, before, findings), active: nameOf(there.find(isActive)) }
  })
  const broken = new Map<string, string>()
  for (const { name, text } of fetched) {
    const compiled = compile(Buffer.from(text))
    if ('errors' in compiled)
      broken.set(name, compiled.errors.map(({ line, text }) => `line ${line}: ${text}`).join('; '))
  }
  const wanted = active !== undefined && !broken.has(active) ? active : undefined
  const adopted = await own.adopt(source, fetched, wanted, limits)
  const { added, taken, refused, isActivated, scripts } = adopted
  const tell = (name: string, why: string) => findings.notGiven(`Sieve script ${JSON.stringify(name)}: ${why}`)
  for (const name of added.filter((name) => broken.has(name)))
    tell(
      name,
      `${name === active ? 'it was the active one, and is not here, so that nothing is filtered: it' : 'it'} can not be run here, and is kept as it is (${broken.get(name)})`,
    )
  for (const name of taken) tell(name, 'another one of this name is here, and stays')
  for (const { name, error } of refused) tell(name, error.message)
  if (active !== undefined && added.includes(active) && wanted !== undefined && !isActivated)
    tell(active, `active there; here ${JSON.stringify(adopted.active)} stays the active one`)
  if (added.length === 0) return
  const activeText = isActivated ? `, active: ${JSON.stringify(active)}` : ', none of them active'
  const most = config.get('sieve_maxscripts')
  const more = scripts > most ? `; ${scripts} are here, and with sieve_maxscripts of ${most} the user adds none` : ''
  findings.given(`Sieve scripts: ${added.length}${activeText}${more}`)
  const largest = config.get('sieve_maxscriptsize') * octetsPerKb
  for (const { name, text } of fetched)
    if (added.includes(name) && Buffer.byteLength(text) > largest)
      findings.given(
        `Sieve script ${JSON.stringify(name)}: of ${Buffer.byteLength(text)} octets; above sieve_maxscriptsize it can only be changed to a smaller one`,
      )
}

/** How many there are. Throws as `bringScripts`. */
export const countScripts = (turn: ScriptsTurn): Promise<number> =>
  inSession(turn, async (connection) => (await listScripts(connection)).length)

/** Octets and names that can be none here are told. Throws BackendError of a lost connection. */
const fetchAll = async (
  connection: SieveConnection,
  there: readonly ScriptThere[],
  before: ReadonlySet<string>,
  findings: Findings,
): Promise<readonly Script[]> => {
  const fetched: Script[] = []
  for (const { name: octets } of there) {
    const shown = JSON.stringify(octets.toString())
    try {
      const name = scriptName(textOf(octets, 'a name'))
      if (before.has(name)) continue
      fetched.push({ name, text: textOf(await getScript(connection, octets), 'a script') })
    } catch (error) {
      const isOfThisOne =
        error instanceof StoreError ||
        error instanceof SyntaxFault ||
        (error instanceof BackendError && connection.failure === undefined)
      if (!isOfThisOne) throw error
      const said = error instanceof BackendError && error.serverText !== undefined ? `: ${error.serverText}` : ''
      findings.notGiven(`Sieve script ${shown}: ${error.message}${said}`)
    }
  }
  return fetched
}

const isActive = (script: ScriptThere): boolean => script.isActive

/** Undefined for what can be no name here, which is told of when it is fetched. */
const nameOf = (script: ScriptThere | undefined): string | undefined => script?.name.toString().normalize('NFC')

const inSession = async <Result>(
  turn: ScriptsTurn,
  work: (connection: SieveConnection) => Promise<Result>,
): Promise<Result> => {
  const { gateway, backend, config } = turn
  const port = backend.sievePort ?? config.get('migration_sieve_port')
  const { learned } = gateway.access.profiles.of(backend.host, port)
  const now = Math.floor(gateway.clock.now() / 1_000)
  const age = now - (learned.absentAt ?? -Infinity)
  if (age >= 0 && age < absentSeconds)
    throw new BackendError('connect', `there was no ManageSieve at ${backend.host}:${port} ${age} s ago`)
  return await inTurn(turn, async (secret, log, signal) => {
    let connection: SieveConnection
    try {
      connection = await openSieveLogin(gateway.access, backend, port, secret, log, signal)
      delete learned.absentAt
    } catch (error) {
      if (!(error instanceof BackendError) || error.kind !== 'connect') throw error
      learned.absentAt = now
      throw new BackendError('connect', `the old server has no ManageSieve there: ${error.message}`, { cause: error })
    }
    try {
      const result = await work(connection)
      // Everything is told: how the other side ends does not matter, and some say BYE.
      await connection.run(Buffer.from('LOGOUT')).catch(() => undefined)
      return result
    } finally {
      connection.close()
    }
  })
}
