/** LASER routing: the account's own name as address. auto_add_laser_routing */
import type { UserId } from '../base/ids.ts'
import type { AccountRecord } from './accounts.ts'

type Properties = AccountRecord['properties']

/** What is missing in `given`. */
export const routingAttributes = (userId: UserId, given: Properties = []): Properties =>
  ['mail', 'mailLocalAddress']
    .filter((name) => !given.some(([other, value]) => other === name && value === userId))
    .map((name) => [name, userId])
