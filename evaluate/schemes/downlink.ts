/** Things on their way to the drone: each is handed over once the virtual clock has reached its time, in order. */
export class Downlink<Item> {
  readonly #delayMs: number
  #queue: { dueMs: number; item: Item }[] = []

  /** @param delayS how long everything takes from being sent to taking effect, s */
  constructor(delayS: number) {
    this.#delayMs = delayS * 1000
  }

  send(nowMs: number, item: Item): void {
    this.#queue.push({ dueMs: nowMs + this.#delayMs, item })
  }

  /** What has arrived by now. */
  receive(nowMs: number): Item[] {
    const arrived = this.#queue.filter(({ dueMs }) => dueMs <= nowMs + 1e-6)
    this.#queue = this.#queue.filter(({ dueMs }) => dueMs > nowMs + 1e-6)
    return arrived.map(({ item }) => item)
  }
}
