import { formatTable, lineProgress, plotSvg, type Results, schemeResult } from '@kestrel/evaluate'
import t from 'tap'

const result = schemeResult({
  score: {
    miouWindow: 0.4321,
    miouVideo: 0.5,
    miouSecondHalf: undefined,
    perClassIou: [0.9, undefined],
    series: [
      { t: 0, miou: 0.4 },
      { t: 1, miou: undefined },
    ],
  },
  stats: { uplinkBytes: 25_000, downlinkBytes: 12_500, updates: 3, sampledFrames: 5 },
  classes: ['sky', 'road'],
  durationS: 10,
  wallS: 1,
})

const results = {
  video: { source: '/home/somebody/flights/one.mp4', frames: 20, fps: 2, durationS: 10, width: 4, height: 2 },
  student: { source: 'student.onnx', sha256: '', parameters: 1, classes: ['sky', 'road'] },
  metric: { windowS: 10 },
  schemes: { none: result, 'ams:first-layers': result },
} as unknown as Results

t.test('figures come in percent, kbit/s and frames/s', async t => {
  t.match(result, {
    miouWindow: 43.21,
    miouVideo: 50,
    miouSecondHalf: null,
    uplinkKbps: 20,
    downlinkKbps: 10,
    meanSamplingFps: 0.5,
    perClassIou: { sky: 90, road: null },
    series: [
      { t: 0, miou: 40 },
      { t: 1, miou: null },
    ],
  })
})

t.test('the table has a line for each scheme and for each class, and says what is not known', async t => {
  const table = formatTable(results)
  t.match(table, /ams:first-layers\s*│\s*43\.2 │\s*– │\s*50\.0 │\s*20\.0 │\s*10\.0 │\s*3 │\s*0\.50/)
  t.match(table, /sky\s*│ 90\.0 │/)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it must have no colours where nobody asked for them
  t.notMatch(table, /\u001b/)
})

t.test('the plot is an SVG with every scheme, its axes and units, and no home folder', async t => {
  const svg = plotSvg(results)
  t.match(svg, /^<svg[^>]*width="960"/)
  for (const text of ['none  43.2 %', 'ams:first-layers  43.2 %', 'time, s', 'mIoU, %', 'flights/one.mp4']) {
    t.ok(svg.includes(text), text)
  }
  t.notMatch(svg, /somebody/)
})

t.test('without a terminal, progress is a line about every 10 %', async t => {
  const lines: string[] = []
  const progress = lineProgress(line => lines.push(line))
  progress.start('ams', 124)
  for (let i = 1; i <= 124; i++) progress.update(i)
  progress.end()
  t.equal(lines.length, 11)
  t.equal(lines[0], 'ams: 124 frames')
  t.equal(lines[10], 'ams: 100 % (124 of 124 frames)')
  progress.start('labels')
  for (let i = 1; i <= 250; i++) progress.update(i)
  t.strictSame(lines.slice(11), ['labels', 'labels: 100 frames', 'labels: 200 frames'])
})
