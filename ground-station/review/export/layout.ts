import { writeFileSync } from 'node:fs'
import type { Recording } from '../recording.js'

/** A layout for Foxglove and Lichtblick: frames, labels of both, map, curves, events. It names topics, so it fits every flight. */
export async function writeLayout(recording: Recording, out: string): Promise<string[]> {
  const { classes, id } = await recording.view()
  writeFileSync(out, `${JSON.stringify(layout(), null, 2)}\n`)
  return [
    `${out}: open it in Foxglove or Lichtblick with Layouts, Import from file; then open a .mcap of ${id || 'a flight'}`,
    ...(classes.length > 0 ? [`colours of the labels: ${classes.join(', ')}`] : []),
  ]
}

const image = (topic: string) => ({
  imageMode: { imageTopic: topic },
  cameraState: {},
  followMode: 'follow-pose',
  scene: {},
  transforms: {},
  topics: {},
  layers: {},
  publish: {},
})

const plot = (title: string, paths: [string, string][]) => ({
  title,
  paths: paths.map(([value, label]) => ({
    value,
    label,
    enabled: true,
    timestampMethod: 'receiveTime',
  })),
  showXAxisLabels: true,
  showYAxisLabels: true,
  showLegend: true,
  legendDisplay: 'floating',
  showPlotValuesInLegend: false,
  isSynced: true,
  xAxisVal: 'timestamp',
  sidebarDimension: 240,
})

function layout() {
  return {
    configById: {
      'Image!camera': image('/camera/sampled'),
      'Image!student': image('/labels/student'),
      'Image!teacher': image('/labels/teacher'),
      'map!track': { center: {}, layer: 'map', topicColors: {}, disabledTopics: [], zoomLevel: 15 },
      'Plot!quality': plot('mIoU', [
        ['/learning/score.adapting', 'learning'],
        ['/learning/score.frozen', 'frozen'],
      ]),
      'Plot!learning': plot('Learning', [
        ['/learning/phase.loss', 'loss'],
        ['/learning/phase.phi', 'φ'],
        ['/learning/phase.hold_out_before', 'hold-out, as flown'],
        ['/learning/phase.hold_out_after', 'hold-out, trained'],
      ]),
      'Plot!latency': plot('Latency, ms', [
        ['/agent/telemetry.latency_p50_ms', 'median'],
        ['/agent/telemetry.latency_p99_ms', '99th percentile'],
      ]),
      'Plot!height': plot('Height, m', [['/vehicle/state.pose.height_m', 'height']]),
      'RosOut!log': { searchTerms: [], minLogLevel: 1 },
      'RawMessages!events': {
        topicPath: '/events',
        diffEnabled: false,
        diffMethod: 'custom',
        diffTopicPath: '',
      },
    },
    globalVariables: {},
    userNodes: {},
    playbackConfig: { speed: 4 },
    layout: {
      direction: 'row',
      splitPercentage: 62,
      first: {
        direction: 'column',
        splitPercentage: 48,
        first: {
          direction: 'row',
          splitPercentage: 34,
          first: 'Image!camera',
          second: { direction: 'row', first: 'Image!student', second: 'Image!teacher' },
        },
        second: {
          direction: 'column',
          first: 'Plot!quality',
          second: { direction: 'row', first: 'Plot!learning', second: 'Plot!latency' },
        },
      },
      second: {
        direction: 'column',
        splitPercentage: 45,
        first: 'map!track',
        second: {
          direction: 'column',
          first: 'Plot!height',
          second: { direction: 'row', first: 'RawMessages!events', second: 'RosOut!log' },
        },
      },
    },
  }
}
