import { expect, it } from 'vitest'
import { startDovecot } from '../../support/dovecot.ts'
import { clientOf } from '../sync/imap/support.ts'
import { anna, gatewayScene } from './support.ts'

it('GW-15: what clients change of the tree is told to the backend soon, not at the next poll', async () => {
  await using dovecot = await startDovecot({ users: { anna: 'secret' }, protocols: ['imap'] })
  await using scene = await gatewayScene(dovecot.imapPort, { ms_syncd_protocol: 'imap', ms_sync_interval: 3600 })
  const other = await clientOf(dovecot)
  const paths = async () => (await other.list()).map(({ path, subscribed }) => (subscribed ? path : `(${path})`))
  const running = () => scene.gateway.scheduler.counts.running + scene.gateway.scheduler.counts.waiting
  /** Until nothing is due any more: neither the pass of the login, nor those that the watch of the backend asks for. */
  const settle = async () => {
    const passes = () => scene.lines.filter(({ message }) => message === 'synchronised').length
    for (let before = -1; before < passes(); ) {
      before = passes()
      await scene.until(() => before === 0 || running() === 0)
      scene.clock.turn(2)
      await scene.until(() => passes() > 0 && running() === 0)
    }
  }
  const change = async (name: string) => {
    scene.bus.emit({ topic: `mbox:${anna}`, name: 'tree', fields: { mailbox: name, change: 'created' } })
    scene.clock.turn(1)
  }
  await scene.login('secret', 'anna')
  await settle()
  const account = scene.test.store.account(anna)
  await account.create('New')
  await account.subscribe('New')
  await change('New')
  await scene.until(async () => (await paths()).includes('New'))
  await settle()
  await account.remove('New')
  await change('New')
  await scene.until(async () => (await paths()).length === 1)
  expect(await paths()).toEqual(['INBOX'])
  other.close()
}, 30_000)
