import { parentPort, workerData } from 'node:worker_threads'
import { messageOf } from '@kestrel/runtime'
import type { RenderReply, RenderStart } from './render-thread.js'
import { SimCamera } from './sim-camera.js'

// Entry point of the renderer's thread.
const port = parentPort!
const { scenario, width, height } = workerData as RenderStart
const camera = new SimCamera(scenario, { width, height })

port.on('message', (timeS: number) => {
  try {
    const { image, labels } = camera.render(timeS)
    const reply: RenderReply = { image, labels }
    port.postMessage(reply, [image.data.buffer as ArrayBuffer, labels.data.buffer as ArrayBuffer])
  } catch (error) {
    port.postMessage({ error: messageOf(error) } satisfies RenderReply)
  }
})
