import { expect, test } from 'vitest'
import { configOf } from '#src/config/config.ts'
import { findSharedAddress } from '#src/sharing/delivery-address.ts'
import { sharingOf } from '#src/sharing/sharing.ts'

const root = (name: string, email: string | undefined) => ({ name, path: name, email, access: [] })
const sharing = sharingOf(
  configOf({
    shared_root: [root('Archive', 'archive@a.example'), root('None', undefined), root('Plus', 'a+b@a.example')],
  }),
)

test.for([
  ['archive@a.example', 'Archive', 'INBOX'],
  ['Archive@A.example', 'Archive', 'INBOX'],
  ['archive+subfolder@a.example', 'Archive', 'subfolder'],
  ['archive+leads/john@a.example', 'Archive', 'leads/john'],
  ['archive+Leads+x@a.example', 'Archive', 'Leads+x'],
  ['archive+@a.example', 'Archive', 'INBOX'],
  ['a+b@a.example', 'Plus', 'INBOX'],
  ['archive@b.example', undefined, undefined],
  ['archive', undefined, undefined],
  ['x+archive@a.example', undefined, undefined],
  ['archives@a.example', undefined, undefined],
  ['archive@x+y@a.example', undefined, undefined],
] as const)('LMTP-10: %s', ([address, tree, mailbox]) => {
  const found = findSharedAddress(sharing, address)
  expect([found?.tree.name, found?.mailbox]).toEqual([tree, mailbox])
})
