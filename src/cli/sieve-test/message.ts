/** A message from a file, as scripts see it. */
import { addressText, envelopeAddress } from '../../sieve/address.ts'
import { messageInMemory } from '../../sieve/in-memory.ts'
import { RunningMessage } from '../../sieve/message.ts'
import type { Envelope, SieveMessage } from '../../sieve/types.ts'

/** What the envelope does not say is taken from the header. Lines may end in LF, or be an mbox's. */
export function messageOf(octets: Buffer, { from, to }: Partial<Envelope>): SieveMessage {
  const message = withCrlf(octets)
  const fields = new RunningMessage(messageInMemory(message, { from: '', to: '' }))
  const address = (...names: readonly string[]) =>
    names.flatMap((name) => fields.fieldsNamed(name).flatMap(({ addresses }) => addresses.map(addressText)))[0] ?? ''
  const returnPath = fields.fieldsNamed('return-path')[0]?.value.trim()
  return messageInMemory(message, {
    from: from === undefined ? (returnPath === undefined ? address('from') : pathOf(returnPath)) : pathOf(from),
    to: to === undefined ? address('delivered-to', 'to') : pathOf(to),
  })
}

/** A reverse-path or forward-path with or without angle brackets. */
export const pathOf = (text: string): string => addressText(envelopeAddress(text))

/** Without the first line of an mbox. */
export function withCrlf(octets: Buffer): Buffer {
  const text = octets.toString('latin1')
  const rest = text.startsWith('From ') ? text.slice(text.indexOf('\n') + 1) : text
  return Buffer.from(rest.replace(/\r?\n/g, '\r\n'), 'latin1')
}
