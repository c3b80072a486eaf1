import { useState } from 'preact/hooks'
import type { CommandOutcome, DroneState } from '../../dashboard/wire.js'
import { postJson } from '../shared/api.js'
import { number } from '../shared/format.js'

type Said = { tone: 'muted' | 'good' | 'bad'; text: string }

/** What can be ordered of a drone. Nothing counts as done before the drone itself has said so. */
export function Controls({ state, reachable }: { state: DroneState; reachable: boolean }) {
  const { name, learning, modelVersion } = state
  const [busy, setBusy] = useState(false)
  const [said, setSaid] = useState<Said>()
  const [asking, setAsking] = useState(false)
  const [limits, setLimits] = useState<{ minFps: string; maxFps: string }>()
  const order = async (what: object) => {
    setBusy(true)
    setAsking(false)
    setSaid({ tone: 'muted', text: `Waiting for the answer of ${name}…` })
    try {
      const url = `/api/live/${encodeURIComponent(name)}/command`
      const { done, detail } = await postJson<CommandOutcome>(url, what)
      setSaid(
        done
          ? { tone: 'good', text: `${name} confirms: ${detail}.` }
          : { tone: 'bad', text: `${name} refuses: ${detail}.` },
      )
      if (done) setLimits(undefined)
    } catch (error) {
      setSaid({ tone: 'bad', text: (error as Error).message })
    } finally {
      setBusy(false)
    }
  }
  const off = busy || !reachable
  const shown = limits ?? {
    minFps: learning ? number(learning.minFps, 2) : '',
    maxFps: learning ? number(learning.maxFps, 2) : '',
  }
  const edit = (which: 'minFps' | 'maxFps') => (event: { currentTarget: HTMLInputElement }) =>
    setLimits({ ...shown, [which]: event.currentTarget.value })
  return (
    <section class="card controls" aria-label="Controls">
      <h2>Controls</h2>
      <div class="control-row">
        <button
          type="button"
          disabled={off}
          onClick={() => order({ kind: 'learning', on: learning?.paused ?? false })}
        >
          {learning?.paused ? 'Resume learning' : 'Pause learning'}
        </button>
        <button type="button" disabled={off} onClick={() => order({ kind: 'save-checkpoint' })}>
          Save checkpoint
        </button>
        {asking ? (
          <fieldset class="ask">
            <legend class="visually-hidden">Roll back?</legend>
            <span>Leave version {modelVersion} for good?</span>
            <button
              type="button"
              class="danger"
              disabled={off}
              onClick={() => order({ kind: 'roll-back', fromVersion: modelVersion })}
            >
              Roll back
            </button>
            <button type="button" onClick={() => setAsking(false)}>
              Keep it
            </button>
          </fieldset>
        ) : (
          <button
            type="button"
            class="danger"
            disabled={off || modelVersion === 0}
            onClick={() => setAsking(true)}
          >
            Roll back…
          </button>
        )}
      </div>
      <form
        class="control-row"
        onSubmit={event => {
          event.preventDefault()
          void order({ kind: 'sampling', minFps: Number(shown.minFps), maxFps: Number(shown.maxFps) })
        }}
      >
        <label>
          At least{' '}
          <input
            type="number"
            min="0.01"
            max="30"
            step="any"
            required
            value={shown.minFps}
            onInput={edit('minFps')}
          />
        </label>
        <label>
          at most{' '}
          <input
            type="number"
            min="0.01"
            max="30"
            step="any"
            required
            value={shown.maxFps}
            onInput={edit('maxFps')}
          />{' '}
          frames/s
        </label>
        <button type="submit" disabled={off || limits === undefined}>
          Set
        </button>
      </form>
      <p role="status" class={said?.tone ?? 'muted'}>
        {reachable
          ? (said?.text ?? 'Orders count as done once the drone has confirmed them.')
          : 'The drone cannot be reached: nothing can be ordered now.'}
      </p>
    </section>
  )
}
