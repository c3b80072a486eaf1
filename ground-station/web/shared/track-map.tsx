import * as L from 'leaflet'
import 'leaflet/dist/leaflet.css'
import { useEffect, useRef } from 'preact/hooks'
import { distance } from './format.js'
import { cssColour, onThemeChange } from './theme.js'

/** Latitude and longitude, degrees. */
export type Position = [number, number]

export interface Track {
  name: string
  colour: string
  /** Where it has been, oldest first. */
  points: Position[]
  /** Where it is, and where its nose points, degrees clockwise from north. */
  at?: Position
  headingDeg?: number
  /** Drawn stronger than the others. */
  chosen?: boolean
}

export interface MapMarker {
  at: Position
  colour: string
  text: string
}

interface Drawn {
  leaflet: L.Map
  layer: L.LayerGroup
  /** Somebody moved the map: it stays where it is. */
  moved: boolean
  /** All of the tracks have been in view once. */
  framed: boolean
}

/**
 * Where vehicles are and were. Without `tiles` it draws a grid of its own, so that it works without a network; the grid's
 * lines stand at round distances from the first point.
 *
 * @param props.follow keeps the chosen track in view until somebody moves the map
 * @param props.onSeek somebody clicks near a point of the chosen track: its index
 */
export function TrackMap(props: {
  tracks: Track[]
  markers?: MapMarker[]
  tiles?: string
  follow?: boolean
  label: string
  onSeek?: (index: number) => void
}) {
  const host = useRef<HTMLDivElement>(null)
  const map = useRef<Drawn | undefined>(undefined)
  const latest = useRef(props)
  latest.current = props
  const draw = () => {
    if (map.current !== undefined) drawTracks(map.current, latest.current)
  }

  useEffect(() => {
    const leaflet = L.map(host.current!, {
      attributionControl: false,
      zoomControl: false,
      zoomSnap: 0.25,
      minZoom: 2,
      maxZoom: 21,
      preferCanvas: true,
      renderer: L.canvas({ padding: 0.3 }),
    }).setView([0, 0], 3)
    L.control.zoom({ position: 'topright' }).addTo(leaflet)
    L.control.scale({ imperial: false, position: 'bottomleft' }).addTo(leaflet)
    if (props.tiles !== undefined) L.tileLayer(props.tiles, { maxZoom: 21, maxNativeZoom: 19 }).addTo(leaflet)
    else new Grid().addTo(leaflet)
    const made = { leaflet, layer: L.layerGroup().addTo(leaflet), moved: false, framed: false }
    map.current = made
    leaflet.on('dragstart', () => {
      made.moved = true
    })
    leaflet.on('click', ({ latlng }: L.LeafletMouseEvent) => {
      const { tracks, onSeek } = latest.current
      const index = onSeek && nearest(leaflet, tracks.find(track => track.chosen)?.points ?? [], latlng)
      if (index !== undefined) onSeek?.(index)
    })
    const endTheme = onThemeChange(draw)
    const resized = new ResizeObserver(() => leaflet.invalidateSize())
    resized.observe(host.current!)
    draw()
    return () => {
      endTheme()
      resized.disconnect()
      leaflet.remove()
      map.current = undefined
    }
  }, [props.tiles])

  useEffect(draw, [props.tracks, props.markers])

  return (
    <div class="map-frame">
      <section class="map" ref={host} aria-label={props.label} />
      <button
        type="button"
        class="small map-home"
        onClick={() => {
          if (map.current === undefined) return
          map.current.moved = false
          map.current.framed = false
          draw()
        }}
      >
        Show all
      </button>
    </div>
  )
}

function drawTracks(map: Drawn, { tracks, markers = [], follow }: Parameters<typeof TrackMap>[0]): void {
  const { leaflet, layer } = map
  layer.clearLayers()
  const all: Position[] = []
  for (const { points, at, colour, chosen, headingDeg, name } of tracks) {
    all.push(...points, ...(at === undefined ? [] : [at]))
    L.polyline(points, {
      color: cssColour(colour),
      weight: chosen ? 4 : 2,
      opacity: chosen ? 1 : 0.6,
      interactive: false,
    }).addTo(layer)
    if (at !== undefined)
      L.marker(at, { icon: arrow(colour, headingDeg, name), keyboard: false }).addTo(layer)
  }
  for (const { at, colour, text } of markers) {
    L.circleMarker(at, {
      radius: 5,
      color: cssColour('--surface'),
      weight: 1.5,
      fillColor: cssColour(colour),
      fillOpacity: 1,
    })
      .bindTooltip(text)
      .addTo(layer)
  }
  if (all.length === 0) return
  const chosen = tracks.find(track => track.chosen)?.at
  if (!map.framed) {
    map.framed = true
    leaflet.fitBounds(L.latLngBounds(all).pad(0.2), { maxZoom: 18, animate: false })
  } else if (
    follow &&
    !map.moved &&
    chosen !== undefined &&
    !leaflet.getBounds().pad(-0.15).contains(chosen)
  ) {
    leaflet.fitBounds(L.latLngBounds(all).pad(0.2), { maxZoom: 18 })
  }
}

/** An arrow in the direction of flight. Made of elements: a string of HTML would let a drone's name be more than text. */
function arrow(colour: string, headingDeg: number | undefined, name: string): L.DivIcon {
  const element = document.createElement('div')
  element.className = 'map-arrow'
  element.title = name
  element.style.color = `var(${colour})`
  const shape = headingDeg === undefined ? 'M9 3a6 6 0 1 0 0.01 0z' : 'M9 1l6 15-6-4-6 4z'
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg')
  svg.setAttribute('viewBox', '0 0 18 18')
  svg.style.transform = `rotate(${headingDeg ?? 0}deg)`
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path')
  path.setAttribute('d', shape)
  svg.append(path)
  element.append(svg)
  return L.divIcon({ html: element, className: '', iconSize: [26, 26], iconAnchor: [13, 13] })
}

/** Index of the point next to a place, within 30 pixels. */
function nearest(leaflet: L.Map, points: Position[], place: L.LatLng): number | undefined {
  const at = leaflet.latLngToContainerPoint(place)
  let best: number | undefined
  let least = 30
  for (const [i, point] of points.entries()) {
    const away = leaflet.latLngToContainerPoint(point).distanceTo(at)
    if (away < least) [best, least] = [i, away]
  }
  return best
}

const METRES_PER_DEGREE = 111_320

/** Lines at round distances, with no map behind them. */
class Grid extends L.Layer {
  #canvas = document.createElement('canvas')
  #map: L.Map | undefined
  #endTheme: (() => void) | undefined

  override onAdd(map: L.Map): this {
    this.#map = map
    this.#canvas.className = 'map-grid'
    map.getPanes().tilePane.append(this.#canvas)
    map.on('move zoom resize viewreset zoomend moveend', this.#draw, this)
    this.#endTheme = onThemeChange(() => this.#draw())
    this.#draw()
    return this
  }

  override onRemove(map: L.Map): this {
    map.off('move zoom resize viewreset zoomend moveend', this.#draw, this)
    this.#endTheme?.()
    this.#canvas.remove()
    return this
  }

  #draw(): void {
    const map = this.#map
    if (map === undefined) return
    const { x: width, y: height } = map.getSize()
    L.DomUtil.setPosition(this.#canvas, map.containerPointToLayerPoint([0, 0]))
    const scale = devicePixelRatio
    this.#canvas.width = width * scale
    this.#canvas.height = height * scale
    this.#canvas.style.width = `${width}px`
    this.#canvas.style.height = `${height}px`
    const context = this.#canvas.getContext('2d')!
    context.scale(scale, scale)
    context.strokeStyle = cssColour('--grid')
    context.fillStyle = cssColour('--muted')
    context.font = '11px system-ui, sans-serif'
    const centre = map.getCenter()
    const perDegree = METRES_PER_DEGREE * Math.max(0.01, Math.cos((centre.lat * Math.PI) / 180))
    const west = map.containerPointToLatLng([0, 0])
    const east = map.containerPointToLatLng([width, 0])
    const metresWide = (east.lng - west.lng) * perDegree
    const step = roundStep((metresWide * 110) / Math.max(1, width))
    const bottom = map.containerPointToLatLng([0, height])
    for (const lng of lines(west.lng, east.lng, step / perDegree)) {
      const { x } = map.latLngToContainerPoint([centre.lat, lng])
      line(context, x, 0, x, height)
    }
    for (const lat of lines(bottom.lat, west.lat, step / METRES_PER_DEGREE)) {
      const { y } = map.latLngToContainerPoint([lat, centre.lng])
      line(context, 0, y, width, y)
    }
    context.fillText(`grid ${distance(step)}`, 8, 16)
  }
}

/** 1, 2 or 5 times a power of ten, not below `least`. */
export function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1e-3, least)))
  return [1, 2, 5, 10].map(factor => factor * power).find(step => step >= least * 0.999)!
}

/** Multiples of `step` between two bounds; none where there would be too many. */
function lines(from: number, to: number, step: number): number[] {
  const first = Math.ceil(from / step)
  const count = Math.floor(to / step) - first + 1
  return count > 0 && count < 200 ? Array.from({ length: count }, (_, i) => (first + i) * step) : []
}

function line(context: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  context.beginPath()
  context.moveTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5)
  context.lineTo(Math.round(x2) + 0.5, Math.round(y2) + 0.5)
  context.stroke()
}
