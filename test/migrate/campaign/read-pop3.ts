/** All that a POP3 server tells of a maildrop, in its order. */
import { createHash } from 'node:crypto'
import { RawPop3 } from '../../support/raw-pop3.ts'

export interface SeenInMaildrop {
  readonly uidl: string
  /** SHA-256 of the octets, with the line end that POP3 puts behind a last line without one. */
  readonly digest: string
  readonly octets: number
}

export async function readPop3(port: number, user: string, password: string): Promise<SeenInMaildrop[]> {
  await using pop = await RawPop3.login(port, user, password, true)
  const seen: SeenInMaildrop[] = []
  for await (const { uidl, octets } of pop.messages())
    seen.push({ uidl, digest: createHash('sha256').update(octets).digest('hex'), octets: octets.length })
  await pop.command('QUIT')
  return seen
}
