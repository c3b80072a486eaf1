import { createRequire, register } from 'node:module'
import { pathToFileURL } from 'node:url'
import type { Tf } from './tensorflow.js'

/**
 * Module hooks, for the ES modules in tfjs-core's dist folder only: they lack `"type": "module"` and the endings of their
 * imports, so that bundlers can read them and Node cannot.
 */
const hooks = `
let folder
const ours = url => url?.startsWith(folder) && !/\\/tf-core[^/]*$/.test(url)
export function initialize(data) {
  folder = data
}
export function resolve(specifier, context, next) {
  const bare = specifier.startsWith('.') && ours(context.parentURL) && !specifier.endsWith('.js')
  return next(bare ? specifier + '.js' : specifier, context)
}
export function load(url, context, next) {
  return next(url, ours(url) ? { ...context, format: 'module' } : context)
}`

/**
 * Registers the gradients of TensorFlow.js, once. tfjs-core ships them beside its bundle for Node, which leaves them out.
 * The copy of tfjs-core that they pull in shares engine and registries with the bundle through globals (tfjs-core's
 * `global_util`), as TensorFlow.js intends.
 */
export async function registerGradients(tf: Tf): Promise<void> {
  if (tf.getGradient('Conv2D') !== undefined) return
  const require = createRequire(import.meta.url)
  const folder = new URL('.', pathToFileURL(require.resolve('@tensorflow/tfjs-core'))).href
  register(`data:text/javascript,${encodeURIComponent(hooks)}`, { parentURL: import.meta.url, data: folder })
  await import(new URL('register_all_gradients.js', folder).href)
  if (tf.getGradient('Conv2D') === undefined) {
    throw new Error('The gradients of TensorFlow.js did not arrive in its registry')
  }
}
