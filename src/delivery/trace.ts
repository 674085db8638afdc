/** The fields that a final delivery adds before all others. RFC 5321 §4.4 */
import type { Transaction } from './types.ts'

/** Empty where nobody says where the message comes from. `by`: this host. */
export function traceFields({ id, sender, trace, receivedAt, recipients }: Transaction, by: string): Buffer {
  if (trace === undefined) return Buffer.alloc(0)
  const [only] = recipients
  const lines = [
    `Received: from ${asciiText(trace.helo)}${client(trace.address, trace.name)}`,
    ...(trace.tls === undefined ? [] : [`(${asciiText(trace.tls)})`]),
    `by ${by} with ${trace.type} id ${id}`,
    // Others who get the same message are nobody's business.
    ...(only !== undefined && recipients.length === 1 ? [`for <${only.address}>`] : []),
  ]
  const date = new Date(receivedAt * 1_000).toUTCString().replace('GMT', '+0000')
  return Buffer.from(`Return-Path: <${sender}>\r\n${lines.join('\r\n\t')};\r\n\t${date}\r\n`)
}

function client(address: string | undefined, name: string | undefined): string {
  if (address === undefined) return ''
  const literal = `[${address.includes(':') ? `IPv6:${address}` : address}]`
  return name === undefined ? ` (${literal})` : ` (${asciiText(name)} ${literal})`
}

/** What a client says of itself, as one word or comment that ends nothing. */
const asciiText = (text: string) => text.replace(/[^\x20-\x7e]|[()\\]/g, '?')
