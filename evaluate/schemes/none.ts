import type { SchemeContext } from './context.js'
import { FlyingStudent } from './flying-student.js'
import type { Scheme } from './scheme.js'

/** No Customization (AMS, section 4.1): the pre-trained student for the whole flight. Nothing crosses the link. */
export async function createNone(context: SchemeContext): Promise<Scheme> {
  const { student, size, threads } = context
  const flying = await FlyingStudent.create(student, { size, threads })
  return {
    name: 'none',
    onFrame: frame => flying.label(frame),
    finish: async () => ({ uplinkBytes: 0, downlinkBytes: 0, updates: 0, sampledFrames: 0 }),
    dispose: () => flying.dispose(),
  }
}
