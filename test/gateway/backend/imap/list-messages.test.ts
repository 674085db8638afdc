import { expect, it } from 'vitest'
import type { Command, ImapConnection } from '#gateway/backend/imap/connection.ts'
import { type ListedMessage, listMessages } from '#gateway/backend/imap/list-messages.ts'
import type { Part } from '#gateway/backend/imap/response-reader.ts'

/** What is told of these responses. */
async function listed(from: number, ...responses: readonly (string | readonly Part[])[]) {
  const run = async ({ untagged }: Command) => {
    for (const response of responses) untagged?.(typeof response === 'string' ? [response] : response)
    return { condition: 'OK', code: undefined, codeText: '', text: '' } as const
  }
  const told: ListedMessage[] = []
  await listMessages({ run } as unknown as ImapConnection, from, (message) => told.push(message))
  return told
}

const date = '17-Jul-1996 02:44:25 -0700'
const internalDate = 837_596_665

it('a line is understood in whatever order and way the server writes it', async () => {
  const one = { uid: 7, flags: ['\\Seen', '$Forwarded'], internalDate, sizeOctets: 2048 }
  const lines = [
    `1 FETCH (UID 7 FLAGS (\\Seen $Forwarded) INTERNALDATE "${date}" RFC822.SIZE 2048)`,
    `1 FETCH (RFC822.SIZE 2048 INTERNALDATE "${date}" FLAGS (\\Recent \\Seen $Forwarded) UID 7)`,
    `1 fetch (FLAGS (\\Seen $Forwarded) uid 7 MODSEQ (12) internaldate "${date}" rfc822.size 2048)`,
    `1 FETCH (UID 7 X-OTHER (a "b)" (c)) FLAGS (\\Seen $Forwarded) INTERNALDATE "${date}" RFC822.SIZE 2048)`,
    [`1 FETCH (UID 7 FLAGS (\\Seen $Forwarded) INTERNALDATE `, Buffer.from(date), ' RFC822.SIZE 2048)'],
  ]
  const told = await listed(1, ...lines)
  expect(told).toEqual(lines.map(() => one))
})

it('what is not told, or makes no sense, is left out', async () => {
  const told = await listed(
    5,
    `1 FETCH (UID 4 FLAGS () INTERNALDATE "${date}" RFC822.SIZE 1)`,
    '2 FETCH (FLAGS (\\Seen))',
    '3 EXISTS',
    '3 FETCH (UID 5 FLAGS () INTERNALDATE "yesterday" RFC822.SIZE 999999999999999)',
    `4 FETCH (UID 6 FLAGS () INTERNALDATE "${date}")`,
    `5 FETCH (UID 4294967296 FLAGS () INTERNALDATE "${date}" RFC822.SIZE 1)`,
    '7 FETCH (UID 8 FLAGS (\\Seen) INTERNALDATE "" RFC822.SIZE 1)',
  )
  expect(told).toEqual([
    { uid: 5, flags: [], internalDate: undefined, sizeOctets: undefined },
    { uid: 6, flags: [], internalDate, sizeOctets: undefined },
    { uid: 8, flags: ['\\Seen'], internalDate: undefined, sizeOctets: 1 },
  ])
})
