import { useEffect, useRef } from 'preact/hooks'

/** RGBA that is drawn over a picture, stretched to it without blending pixels. */
export interface Overlay {
  width: number
  height: number
  pixels: Uint8ClampedArray<ArrayBuffer>
}

/**
 * A picture with labels over it, on a canvas as wide as there is room.
 *
 * @param props.picture undefined where there is none: only the overlay is drawn
 * @param props.opacity of the overlay, 0..1
 * @param props.dim how much of the picture itself is taken away, 0..1: for overlays that mark single places
 * @param props.alt what a screen reader says
 */
export function Picture(props: {
  picture?: CanvasImageSource & { width: number; height: number }
  overlay?: Overlay
  opacity?: number
  dim?: number
  alt: string
}) {
  const { picture, overlay, opacity = 0.6, dim = 0, alt } = props
  const canvas = useRef<HTMLCanvasElement>(null)
  useEffect(() => {
    const context = canvas.current?.getContext('2d')
    const size = picture ?? overlay
    if (context == null || size === undefined) return
    const { width, height } = size
    context.canvas.width = width
    context.canvas.height = height
    if (picture !== undefined) context.drawImage(picture, 0, 0, width, height)
    if (dim > 0) {
      context.fillStyle = `rgb(0 0 0 / ${dim})`
      context.fillRect(0, 0, width, height)
    }
    if (overlay === undefined) return
    context.globalAlpha = opacity
    context.imageSmoothingEnabled = false
    context.drawImage(toCanvas(overlay), 0, 0, width, height)
    context.globalAlpha = 1
  }, [picture, overlay, opacity, dim])
  return <canvas class="picture" ref={canvas} role="img" aria-label={alt} width={16} height={9} />
}

function toCanvas({ width, height, pixels }: Overlay): HTMLCanvasElement {
  const canvas = document.createElement('canvas')
  canvas.width = width
  canvas.height = height
  canvas.getContext('2d')!.putImageData(new ImageData(pixels, width, height), 0, 0)
  return canvas
}

/** Loads a picture of this server. @throws Error where it cannot be decoded */
export async function loadPicture(url: string, options: { signal?: AbortSignal } = {}): Promise<ImageBitmap> {
  const answer = await fetch(url, options)
  if (!answer.ok) throw new Error(`There is no picture (${answer.status})`)
  return createImageBitmap(await answer.blob())
}
