/** The backends of one user. */
import { isDeepStrictEqual } from 'node:util'
import type { Backend, UserBackends } from '#src/config/backends.ts'
import type { BackendLink } from './link.ts'

export class UserLinks {
  readonly #make: (backend: Backend) => BackendLink
  #master: BackendLink
  #extra: readonly BackendLink[]

  constructor({ master, extra }: UserBackends, make: (backend: Backend) => BackendLink) {
    this.#make = make
    this.#master = make(master)
    this.#extra = extra.map(make)
  }

  get master(): BackendLink {
    return this.#master
  }

  get extra(): readonly BackendLink[] {
    return this.#extra
  }

  get all(): readonly BackendLink[] {
    return [this.#master, ...this.#extra]
  }

  /** The records may have changed. Links that stay keep what they know. */
  use({ master, extra }: UserBackends): void {
    const old = this.#extra
    this.#master = this.#keep(this.#master, master)
    this.#extra = extra.map((backend) =>
      this.#keep(
        old.find((link) => sameMaildrop(link.backend, backend)),
        backend,
      ),
    )
  }

  #keep(link: BackendLink | undefined, backend: Backend): BackendLink {
    if (link === undefined || !sameMaildrop(link.backend, backend)) return this.#make(backend)
    // A refusal was for the password, or the right, of before.
    if (link.backend.password !== backend.password || !isDeepStrictEqual(link.backend.service, backend.service))
      link.stopped = false
    link.backend = backend
    return link
  }
}

const sameMaildrop = (a: Backend, b: Backend): boolean =>
  a.protocol === b.protocol && a.host === b.host && a.port === b.port && a.user === b.user && a.mailbox === b.mailbox
