/** Why an update was refused. `malformed` covers everything that no encoder of ours would write. */
export type RefusalReason =
  | 'malformed'
  | 'unsupported'
  | 'wrong-size'
  | 'not-newer'
  | 'wrong-base'
  | 'wrong-digest'
  | 'not-finite'
  | 'result-mismatch'

/** An update that does not fit the weights it was meant for, or is damaged. Nothing was changed. */
export class UpdateRefused extends Error {
  override readonly name = 'UpdateRefused'
  readonly reason: RefusalReason

  constructor(reason: RefusalReason, message: string) {
    super(message)
    this.reason = reason
  }
}
