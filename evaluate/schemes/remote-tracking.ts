import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { type Frame, Sampler } from '@kestrel/agent'
import { Scaler } from '@kestrel/link'
import { type LabelMap, resizeLabels } from '@kestrel/models'
import { LinkMeter } from '../link-meter.js'
import { FarnebackFlow, type GreyImage, toGrey } from '../tracking/flow.js'
import { FlowChain } from '../tracking/tracker.js'
import type { SchemeContext } from './context.js'
import { Downlink } from './downlink.js'
import { FlyingStudent } from './flying-student.js'
import type { Scheme } from './scheme.js'
import { sendFrame } from './single-frame.js'

/**
 * Remote+Tracking (AMS, section 4.1): the teacher runs remotely. Frames go up at 1 frame/s, one at a time and at full quality,
 * their labels come down (deflated label maps, which have no message of their own in Kestrel's protocol, so their bare
 * bytes are counted), and the drone moves the newest labels along by optical flow (Farnebäck's, chained from frame to frame).
 *
 * Labels arrive with the frame after the sampled one at the earliest, later with `--delay-s`; at a camera rate of 1 frame/s
 * each frame therefore shows the labels of the frame before it, moved by one step of flow. Until the first labels arrive
 * the pre-trained student's are shown.
 */
export async function createRemoteTracking(context: SchemeContext): Promise<Scheme> {
  const { student, size, camera, threads, teacher, clock, settings, delayS } = context
  const flying = await FlyingStudent.create(student, { size, threads })
  const link = new LinkMeter(clock)
  const downlink = new Downlink<{ labels: LabelMap; chain: FlowChain }>(delayS)
  const flow = await FarnebackFlow.create()
  const fullScaler = new Scaler()
  const flowScaler = new Scaler()
  const flowWidth = Math.min(settings.tracking.flowWidth, camera.width)
  const flowHeight = Math.max(1, Math.round((flowWidth * camera.height) / camera.width))
  const sampler = new Sampler({ fps: settings.tracking.fps })
  let previous: GreyImage | undefined
  let shown: { labels: LabelMap; chain: FlowChain } | undefined
  /** Chains that begin at sampled frames whose labels are on their way. */
  let pending: FlowChain[] = []
  let sampledFrames = 0
  let updates = 0

  const sample = async (frame: Frame): Promise<void> => {
    const image = fullScaler.scale(frame.image, camera.width & ~1, camera.height & ~1)
    const decoded = await sendFrame(link, frame, image, {
      codec: settings.link.videoCodec,
      frameKbit: settings.tracking.frameKbit,
      sequence: sampledFrames++,
      modelVersion: 0,
    })
    const { sourceIndex, captureMs } = frame
    const labels = resizeLabels(
      await teacher.label(decoded, { sourceIndex, captureMs }),
      size.width,
      size.height,
    )
    const packed = deflateRawSync(labels.data, { level: 9 })
    link.downlinkBytes += packed.length
    const chain = new FlowChain(flowWidth, flowHeight)
    pending.push(chain)
    downlink.send(clock.nowMs(), { labels: { ...size, data: new Uint8Array(inflateRawSync(packed)) }, chain })
  }

  return {
    name: 'remote-tracking',
    async onFrame(frame) {
      const grey = toGrey(flowScaler.scale(frame.image, flowWidth, flowHeight))
      if (previous !== undefined) {
        const step = flow.between(grey, previous)
        for (const chain of new Set([...pending, ...(shown === undefined ? [] : [shown.chain])]))
          chain.advance(step)
      }
      previous = grey
      for (const arrived of downlink.receive(clock.nowMs())) {
        shown = arrived
        updates++
        pending = pending.filter(chain => chain !== arrived.chain)
      }
      const labels = shown === undefined ? await flying.label(frame) : shown.chain.warp(shown.labels)
      if (sampler.offer(frame.captureMs)) await sample(frame)
      return labels
    },
    async finish() {
      const { uplinkBytes, downlinkBytes } = link
      return { uplinkBytes, downlinkBytes, updates, sampledFrames }
    },
    async dispose() {
      await flying.dispose()
      fullScaler.dispose()
      flowScaler.dispose()
    },
  }
}
