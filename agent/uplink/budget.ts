/** RADIO_STATUS (#109) as far as it matters here. */
export interface RadioQuality {
  /** Free space of the radio's send buffer, %. */
  txbuf: number
  /** Signal strength and noise, here and at the other end, in the radio's own steps (SiK: 1.9 a decibel); 255 is unknown. */
  rssi: number
  remrssi: number
  noise: number
  remnoise: number
}

/** Below this no segment can be of use, kbit/s. */
const LEAST_KBPS = 16
/** What was heard of the radio holds for this long, ms. */
const RADIO_MS = 10_000
const STEPS_PER_DB = 1.9
/** A signal this little above the noise loses packets, dB. */
const THIN_DB = 8

/**
 * How much of the wanted bitrate the way to the ground bears. Two things lower it: segments that take most of a period from handing
 * over to the broker's answer, and a telemetry radio whose buffer fills or whose signal is thin. It rises again step by step.
 */
export class UplinkBudget {
  /** What the link was seen to carry, kbit/s. */
  #linkKbps = Number.POSITIVE_INFINITY
  /** Share that the radio leaves. */
  #radio = 1
  #thin = false
  #radioMs = Number.NEGATIVE_INFINITY

  /** @param tookMs until the broker had it, by which a round trip is in it @param periodMs how often such a message is due */
  delivered(bytes: number, tookMs: number, periodMs: number): void {
    const achievedKbps = (8 * bytes) / Math.max(1, tookMs)
    if (tookMs > 0.7 * periodMs) {
      // A little less than what passed, so that what waits drains too.
      this.#linkKbps = Math.max(LEAST_KBPS, Math.min(this.#linkKbps, 0.8 * achievedKbps))
    } else if (tookMs < 0.4 * periodMs) this.#linkKbps *= 1.25
  }

  /** The steps are those by which ArduPilot slows its own streams down. */
  radio({ txbuf, rssi, remrssi, noise, remnoise }: RadioQuality, nowMs: number): void {
    if (txbuf < 20) this.#radio *= 0.6
    else if (txbuf < 50) this.#radio *= 0.8
    else if (txbuf > 90) this.#radio *= 1.1
    this.#radio = Math.min(1, Math.max(0.1, this.#radio))
    const margins = [
      [rssi, noise],
      [remrssi, remnoise],
    ].filter(([signal]) => signal !== 255 && signal !== 0)
    this.#thin = margins.some(([signal, floor]) => (signal - floor) / STEPS_PER_DB < THIN_DB)
    this.#radioMs = nowMs
  }

  /** @param wantedKbps what configuration and ground want @returns what is to be sent, kbit/s */
  bound(wantedKbps: number, nowMs: number): number {
    // Growth stops where nobody asks for more.
    if (this.#linkKbps > wantedKbps * 2) this.#linkKbps = Number.POSITIVE_INFINITY
    const isHeard = nowMs - this.#radioMs < RADIO_MS
    if (!isHeard) this.#radio = 1
    const radio = isHeard ? this.#radio * (this.#thin ? 0.5 : 1) : 1
    const kbps = Math.min(wantedKbps * radio, this.#linkKbps)
    return Math.min(wantedKbps, Math.max(LEAST_KBPS, kbps))
  }
}
