import type { SeriesInfo } from './api.js'

/** Series that every kind of log has under the same name, so that a page and a report know what to show first. */
export const standardSeries = {
  'learning.adapting': { label: 'mIoU, learning', unit: '%', group: 'Segmentation quality' },
  'learning.frozen': { label: 'mIoU, frozen', unit: '%', group: 'Segmentation quality' },
  'vehicle.altitude': { label: 'altitude above sea level', unit: 'm', group: 'Altitude' },
  'vehicle.height': { label: 'height above home', unit: 'm', group: 'Height' },
  'vehicle.speed': { label: 'ground speed', unit: 'm/s', group: 'Speed' },
  'vehicle.airspeed': { label: 'airspeed', unit: 'm/s', group: 'Speed' },
  'vehicle.climb': { label: 'climb', unit: 'm/s', group: 'Speed' },
  'vehicle.roll': { label: 'roll', unit: '°', group: 'Attitude' },
  'vehicle.pitch': { label: 'pitch', unit: '°', group: 'Attitude' },
  'vehicle.yaw': { label: 'heading', unit: '°', group: 'Heading' },
  'vehicle.voltage': { label: 'battery', unit: 'V', group: 'Battery voltage' },
  'vehicle.charge': { label: 'battery left', unit: '%', group: 'Battery' },
  'vehicle.satellites': { label: 'satellites', unit: '', group: 'Satellites' },
} satisfies Record<string, Omit<SeriesInfo, 'name'>>

export type StandardSeries = keyof typeof standardSeries
