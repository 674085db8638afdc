/** Feeds octets to a receiver the way a daemon does, and shows the events as plain values. */

import { SyntaxFault } from '#src/base/errors.ts'
import { AppendReader, readAppendMailbox } from '#src/proto/imap/append.ts'
import { authenticatedLimits, type ReceiverLimits } from '#src/proto/imap/limits.ts'
import { CommandReceiver } from '#src/proto/imap/receiver.ts'
import type { MessageLiteral, ReceiverEvent } from '#src/proto/imap/receiver-events.ts'
import type { TokenReader } from '#src/proto/imap/token-reader.ts'

export const limits = authenticatedLimits(1_000_000)

/** Octets of a string in latin1. */
export const octets = (text: string): Buffer => Buffer.from(text, 'latin1')

/** All events of `pieces`, pushed one after the other; what APPEND brings is accepted. */
export function receive(pieces: readonly Buffer[], by: ReceiverLimits = limits): ReceiverEvent[] {
  const receiver = new CommandReceiver(by)
  const events: ReceiverEvent[] = []
  for (const piece of pieces) {
    receiver.push(piece)
    for (let event = receiver.next(); event !== undefined; event = receiver.next()) {
      events.push(event)
      if ('literal' in event && event.literal !== undefined) receiver.accept()
    }
  }
  return events
}

/** The events in one line each, runs of message octets joined: what must not depend on how the octets were cut. */
export function shown(events: readonly ReceiverEvent[]): string[] {
  const lines: string[] = []
  let message = ''
  let reader = new AppendReader()
  for (const event of events) {
    if (event.type === 'octets') {
      message += event.octets.toString('latin1')
      continue
    }
    if (message !== '') lines.push(`octets ${JSON.stringify(message)}`)
    message = ''
    if (event.type === 'append') {
      reader = new AppendReader()
      const mailbox = readAppendMailbox(event.command.args)
      lines.push(`append ${event.command.tag} ${mailbox} ${stepsShown(reader, event.command.args, event.literal)}`)
    } else if (event.type === 'append-text') lines.push(`append-text ${stepsShown(reader, event.text, event.literal)}`)
    else lines.push(show(event))
  }
  if (message !== '') lines.push(`octets ${JSON.stringify(message)}`)
  return lines
}

function readSteps(reader: AppendReader, text: TokenReader, literal: MessageLiteral | undefined) {
  try {
    return reader.read(text, literal !== undefined)
  } catch (error) {
    if (error instanceof SyntaxFault) return [error]
    throw error
  }
}

function stepsShown(reader: AppendReader, text: TokenReader, literal: MessageLiteral | undefined): string {
  const steps = readSteps(reader, text, literal).map((step) => {
    if (step instanceof SyntaxFault) return `bad: ${step.message}`
    if (step.step === 'message') return `message ${JSON.stringify([step.flags, step.internalDate ?? null])}`
    if (step.step === 'url') return `url ${step.url}`
    if (step.step === 'end') return 'end'
    const { binary, sizeOctets, synchronising } = literal!
    return `literal${binary ? '8' : ''} ${sizeOctets} ${synchronising ? 'sync' : 'non-sync'}`
  })
  return [...steps, ...(literal === undefined ? ['done'] : [])].join(', ')
}

function show(event: Exclude<ReceiverEvent, { type: 'append' | 'append-text' | 'octets' }>): string {
  switch (event.type) {
    case 'command': {
      const { tag, name, uid, args } = event.command
      return `command ${tag} ${uid ? 'UID ' : ''}${name} ${JSON.stringify(words(args))}`
    }
    case 'line':
      return `line ${JSON.stringify(event.octets.toString('latin1'))}`
    case 'fault':
      return `fault ${event.tag ?? '*'} ${event.status} ${event.code ?? '-'} ${event.close ? 'close' : 'go on'}: ${event.text}`
    case 'continuation':
      return event.type
  }
}

/** Arguments as astrings, other octets one by one. */
function words(args: TokenReader): string[] {
  const found: string[] = []
  while (args.peek() !== '') {
    const char = '() \\*%+<>'.split('').find((special) => args.tryChar(special))
    found.push(char ?? args.astring())
  }
  return found
}

/** The arguments of one whole command, given with its final CRLF left out. */
export function argsOf(command: string): TokenReader {
  const event = receive([octets(`${command}\r\n`)]).at(-1)
  if (event?.type === 'command' || event?.type === 'append') return event.command.args
  throw new Error(`no command: ${event === undefined ? 'nothing' : JSON.stringify(event)}`)
}
