/** Values of expiration_policy and isodeMboxMailExpirationPolicy. EXP-01, EXP-03 */

export interface ExpiryRule {
  /** As IMAP names it, Unicode. */
  readonly mailbox: string
  /** Messages older than this go; undefined: none, the mailbox is protected. */
  readonly seconds: number | undefined
}

/** `INBOX$259200`, `Lists/big$NONE`; undefined for what is none. */
export const readExpiryRule = (text: string): ExpiryRule | undefined => {
  const [, mailbox, age] = /^(.+)\$(\d{1,10}|none)$/i.exec(text.trim()) ?? []
  if (mailbox === undefined || age === undefined || /\p{Cc}/u.test(mailbox)) return undefined
  return { mailbox, seconds: age.toLowerCase() === 'none' ? undefined : Number(age) }
}
