/** What scripts a ManageSieve server has of a user. Nothing is changed there. RFC 5804 §2.7, §2.9 */
import { formatString } from '#src/proto/managesieve/response.ts'
import { BackendError } from '../errors.ts'
import { maxScriptOctets, type SieveConnection } from './connection.ts'
import { refused } from './open.ts'

export interface ScriptThere {
  /** Octets: a server may give what is no UTF-8. */
  readonly name: Buffer
  readonly isActive: boolean
}

/** Throws BackendError. */
export const listScripts = async (connection: SieveConnection): Promise<readonly ScriptThere[]> => {
  const answer = await connection.run(Buffer.from('LISTSCRIPTS'))
  if (answer.status !== 'OK') throw refused('to list scripts', answer, 'transaction')
  return answer.lines.flatMap(([name, mark]) =>
    name?.type === 'string'
      ? [{ name: name.octets, isActive: mark?.type === 'atom' && mark.text.toUpperCase() === 'ACTIVE' }]
      : [],
  )
}

/** Throws BackendError: of kind `limit` for one that is too large. The connection can be used further unless it has a `failure`. */
export const getScript = async (connection: SieveConnection, name: Buffer): Promise<Buffer> => {
  const answer = await connection.run(Buffer.concat([Buffer.from('GETSCRIPT '), formatString(name, 'client')]))
  if (answer.status !== 'OK') throw refused('the script', answer, 'transaction')
  if (answer.isTooLarge) throw new BackendError('limit', `it has more than ${maxScriptOctets} octets`)
  const script = answer.lines[0]?.[0]
  if (script?.type !== 'string') throw new BackendError('protocol', 'the backend answered without a script')
  return script.octets
}
