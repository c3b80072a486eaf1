import { LineChart } from 'echarts/charts'
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'

use([LineChart, GridComponent, LegendComponent, MarkLineComponent, TitleComponent, SVGRenderer])

export const fontFamily = 'Arial, Helvetica, Liberation Sans, sans-serif'

const font = { fontFamily }

/** How both axes of every plot look. */
export const axis = {
  nameLocation: 'middle',
  nameTextStyle: { ...font, fontSize: 13, color: '#333' },
  axisLabel: { ...font, fontSize: 12, color: '#333' },
  axisLine: { show: true, lineStyle: { color: '#666' } },
  axisTick: { show: true, lineStyle: { color: '#666' } },
  splitLine: { lineStyle: { color: '#e6e6e6' } },
}

/** What every plot has alike: title, what was done in small below it, and the legend. */
export function frame(text: string, subtext: string): Record<string, Record<string, unknown>> {
  return {
    title: {
      text,
      subtext,
      left: 'center',
      top: 12,
      textStyle: { ...font, fontSize: 18, color: '#222' },
      subtextStyle: { ...font, fontSize: 12, color: '#555' },
    },
    legend: {
      bottom: 10,
      icon: 'rect',
      itemWidth: 22,
      itemHeight: 3,
      itemGap: 26,
      textStyle: { ...font, fontSize: 12, color: '#333' },
    },
  }
}

/** A plot as an SVG document of 960×540. */
export function renderSvg(option: Record<string, unknown>): string {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 960, height: 540 })
  try {
    chart.setOption({ animation: false, backgroundColor: '#ffffff', textStyle: font, ...option })
    return chart.renderToSVGString()
  } finally {
    chart.dispose()
  }
}
