import { type Log, messageOf } from '@kestrel/runtime'
import { registerFilterGradients } from './cpu-kernels.js'
import { registerGradients } from './gradients.js'

/** The TensorFlow.js API, wherever it comes from. */
export type Tf = typeof import('@tensorflow/tfjs-core')

export interface TensorFlow {
  tf: Tf
  /** 'cpu' for the plain JavaScript backend, else the package that computes. */
  provider: string
}

/** Native builds, which people install themselves (their installation downloads libtensorflow), best one first. */
const NATIVE = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']

/**
 * Loads TensorFlow.js: a native build where one is installed, else plain JavaScript. Says in one line which it is.
 *
 * @param options.load imports a package by name
 */
export async function loadTensorFlow(options: {
  log: Log
  load?: (name: string) => Promise<{ default: unknown }>
}): Promise<TensorFlow> {
  const { log, load = name => import(name) } = options
  for (const name of NATIVE) {
    try {
      const tf = (await load(name)).default as Tf
      await tf.ready()
      const provider = name.slice(name.indexOf('/') + 1)
      log.info(`TensorFlow.js computes with ${provider} (backend "${tf.getBackend()}")`)
      return { tf, provider }
    } catch (error) {
      // Not being there is the normal case; being there and broken is worth a word.
      if ((error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND') continue
      log.warn(
        `${name} is installed but does not load (${messageOf(error).split('\n')[0]}); going on without it`,
      )
    }
  }
  const tf = await plainTensorFlow()
  log.info('TensorFlow.js computes in plain JavaScript (backend "cpu"); @tensorflow/tfjs-node is much faster')
  return { tf, provider: 'cpu' }
}

async function plainTensorFlow(): Promise<Tf> {
  const { default: tf } = await import('@tensorflow/tfjs-core')
  // Production mode also silences the advertisement that the CPU backend prints.
  tf.enableProdMode()
  await import('@tensorflow/tfjs-backend-cpu')
  await tf.setBackend('cpu')
  await tf.ready()
  await registerGradients(tf)
  registerFilterGradients(tf)
  return tf
}
