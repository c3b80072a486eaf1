// tap hooks into how a test, and every process that it starts, loads modules: for mocks and coverage. No test here uses either, and the hooks
// double the time that a process takes to start. `--require` comes before them (.taprc) and leaves them nothing to hook into: what is tested
// starts as it does for users.
const module_ = require('node:module')

const { register } = module_
module_.register = (specifier, ...rest) => {
  if (!String(specifier).includes('/@tapjs/')) register(specifier, ...rest)
}
require('process-on-spawn').addListener = () => {}
const { NODE_OPTIONS } = process.env
if (NODE_OPTIONS !== undefined) {
  process.env.NODE_OPTIONS = NODE_OPTIONS.replace(/\S*@tapjs\/processinfo\S*/, '').trim()
}
