import type { OfferedFormat } from '@kestrel/agent'

const discrete = (fourcc: string, name: string, sizes: Record<string, number[]>): OfferedFormat => ({
  fourcc,
  name,
  sizes: Object.entries(sizes).map(([size, rates]) => {
    const [width, height] = size.split('x').map(Number)
    return { size: { width, height }, rates }
  }),
})

/** What cameras say of themselves (`v4l2-ctl --list-formats-ext`), cut to some of their sizes. */
export const recorded: Record<
  string,
  { card: string; bus: string; driver: string; formats: OfferedFormat[] }
> = {
  // USB 2: uncompressed pictures of this size come at 10 frames/s only.
  c920: {
    card: 'HD Pro Webcam C920',
    bus: 'usb-0000:01:00.0-1.3',
    driver: 'uvcvideo',
    formats: [
      discrete('YUYV', 'YUYV 4:2:2', {
        '640x480': [30, 24, 20, 15, 10, 7.5, 5],
        '800x600': [24, 20, 15, 10, 7.5, 5],
        '1280x720': [10, 7.5, 5],
        '1920x1080': [5],
        '2304x1536': [2],
      }),
      discrete('H264', 'H.264', { '1280x720': [30, 24, 15] }),
      discrete('MJPG', 'Motion-JPEG', {
        '640x480': [30, 24, 20, 15, 10, 7.5, 5],
        '800x600': [30, 24, 20],
        '1280x720': [30, 24, 20, 15],
        '1920x1080': [30, 24, 20],
      }),
    ],
  },
  slow: {
    card: 'Endoscope',
    bus: 'usb-1.1',
    driver: 'uvcvideo',
    formats: [discrete('YUYV', 'YUYV 4:2:2', { '1280x720': [5], '640x480': [29.97, 15] })],
  },
  // The kernel's virtual camera: any size in steps, some rates.
  range: {
    card: 'range',
    bus: 'platform:range',
    driver: 'range',
    formats: [
      {
        fourcc: 'NV12',
        name: 'Y/UV 4:2:0',
        sizes: [
          {
            size: {
              min: { width: 32, height: 32 },
              max: { width: 3280, height: 2464 },
              step: { width: 2, height: 2 },
            },
            rates: [{ min: 1, max: 120 }],
          },
        ],
      },
    ],
  },
  // v4l2loopback tells a format, and neither sizes nor rates.
  loopback: {
    card: 'clip',
    bus: 'platform:v4l2loopback-010',
    driver: 'v4l2 loopback',
    formats: [{ fourcc: 'YU12', name: 'Planar YUV 4:2:0', sizes: [] }],
  },
  // unicam on a Raspberry Pi: what comes from the sensor.
  bayer: {
    card: 'unicam',
    bus: 'platform:fe801000.csi',
    driver: 'unicam',
    formats: [discrete('pRAA', '10-bit Bayer RGRG/GBGB Packed', { '3280x2464': [] })],
  },
}
