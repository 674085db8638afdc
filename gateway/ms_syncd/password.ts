/** Passwords of users whose backends are polled. In memory only, and no longer than that. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** Of this process alone: a digest of it says nothing to anybody else. */
const key = randomBytes(32)

/** Tells whether a password is the one that a backend accepted, after the password itself is gone. */
export class PasswordDigest {
  readonly #digest: Buffer

  constructor(password: Buffer) {
    this.#digest = createHmac('sha256', key).update(password).digest()
  }

  equals(other: PasswordDigest): boolean {
    return timingSafeEqual(this.#digest, other.#digest)
  }
}
