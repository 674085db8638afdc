/** Telling a client what happens while it says nothing: in IDLE, RFC 2177, and between commands where it asked for that, RFC 5465 §3.1. */

import type { Session } from './session.ts'
import { Watch } from './watch.ts'

/** Until `end` is settled. Throws what ends the session, and StoreError. `mayExpunge`: the client counts on no sequence numbers. */
export async function pushUntil(session: Session, end: Promise<unknown>, mayExpunge: boolean): Promise<void> {
  using watch = new Watch(session)
  let ended = false
  const wake = () => {
    ended = true
    watch.wake()
  }
  end.then(wake, wake)
  while (!ended) {
    await session.announce(mayExpunge)
    session.output.flush()
    await watch.news()
  }
}
