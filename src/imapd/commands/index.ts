/** The registry: every command that there is. */
import type { Command } from '../command.ts'
import { append } from './append.ts'
import { authenticate } from './authenticate.ts'
import { cancelupdate } from './cancelupdate.ts'
import { capability } from './capability.ts'
import { check } from './check.ts'
import { close } from './close.ts'
import { compress } from './compress.ts'
import { copy, move } from './copy.ts'
import { create } from './create.ts'
import { del } from './delete.ts'
import { deleteacl } from './deleteacl.ts'
import { enable } from './enable.ts'
import { expunge } from './expunge.ts'
import { fetch } from './fetch.ts'
import { genurlauth } from './genurlauth.ts'
import { getacl } from './getacl.ts'
import { getMetadata } from './getmetadata.ts'
import { id } from './id.ts'
import { idle } from './idle.ts'
import { list } from './list.ts'
import { listrights } from './listrights.ts'
import { login } from './login.ts'
import { logout } from './logout.ts'
import { lsub } from './lsub.ts'
import { myrights } from './myrights.ts'
import { namespace } from './namespace.ts'
import { noop } from './noop.ts'
import { notify } from './notify.ts'
import { getQuota, getQuotaRoot, setQuota } from './quota.ts'
import { rename } from './rename.ts'
import { replace } from './replace.ts'
import { resetkey } from './resetkey.ts'
import { search } from './search.ts'
import { examine, select } from './select.ts'
import { setacl } from './setacl.ts'
import { setMetadata } from './setmetadata.ts'
import { sort } from './sort.ts'
import { starttls } from './starttls.ts'
import { status } from './status.ts'
import { store } from './store.ts'
import { subscribe } from './subscribe.ts'
import { thread } from './thread.ts'
import { unauthenticate } from './unauthenticate.ts'
import { unselect } from './unselect.ts'
import { unsubscribe } from './unsubscribe.ts'
import { urlfetch } from './urlfetch.ts'

const rows: readonly Command[] = [
  append,
  authenticate,
  cancelupdate,
  capability,
  check,
  close,
  compress,
  copy,
  create,
  del,
  deleteacl,
  enable,
  examine,
  expunge,
  fetch,
  genurlauth,
  getacl,
  getQuota,
  getQuotaRoot,
  getMetadata,
  id,
  idle,
  list,
  listrights,
  login,
  logout,
  lsub,
  move,
  myrights,
  namespace,
  noop,
  notify,
  rename,
  replace,
  resetkey,
  search,
  select,
  setacl,
  setMetadata,
  setQuota,
  sort,
  starttls,
  status,
  store,
  subscribe,
  thread,
  unauthenticate,
  unselect,
  unsubscribe,
  urlfetch,
]

export const commands: ReadonlyMap<string, Command> = new Map(rows.map((row) => [row.name, row]))
