/** A field as an image: one pixel a cell, the north on top. */

import type { Lookup } from './colours'
import type { Grid } from './grid'
import type { Field } from './zarr'

/** Paint an hour of a field; cells below `hatchBelow` (a stored number) are drawn one in two. */
export function paint(
  canvas: HTMLCanvasElement,
  grid: Grid,
  field: Field,
  at: number,
  look: Lookup,
  hatchBelow = -Infinity,
): void {
  const { ny, nx } = grid
  if (canvas.width !== nx || canvas.height !== ny) Object.assign(canvas, { width: nx, height: ny })
  const context = canvas.getContext('2d')!
  const image = context.createImageData(nx, ny)
  new Uint32Array(image.data.buffer).set(pixels(field.hour(at), ny, nx, look, hatchBelow))
  context.putImageData(image, 0, 0)
}

/** The colours of numbers (y, x) from the south, as an image from the north. */
export function pixels(
  numbers: ArrayLike<number>,
  ny: number,
  nx: number,
  look: Lookup,
  hatchBelow = -Infinity,
): Uint32Array {
  const { colours, offset } = look
  const made = new Uint32Array(ny * nx)
  for (let j = 0; j < ny; j++) {
    const [from, to] = [j * nx, (ny - 1 - j) * nx]
    for (let i = 0; i < nx; i++) {
      const n = numbers[from + i]
      if (n >= hatchBelow || (i + j) % 2 === 0) made[to + i] = colours[n + offset]
    }
  }
  return made
}

/** Leave nothing on a canvas. */
export function clear(canvas: HTMLCanvasElement): void {
  const context = canvas.getContext('2d')!
  context.resetTransform()
  context.clearRect(0, 0, canvas.width, canvas.height)
}

/** A pattern of slanting lines, the same width on the screen however much the map is enlarged. */
export function hatching(context: CanvasRenderingContext2D, colour: string, pixelsPerUnit: number): CanvasPattern {
  const tile = document.createElement('canvas')
  tile.width = tile.height = 6
  const pen = tile.getContext('2d')!
  pen.strokeStyle = colour
  pen.lineWidth = 2
  for (const shift of [-6, 0, 6]) {
    pen.moveTo(shift, 6)
    pen.lineTo(shift + 6, 0)
  }
  pen.stroke()
  const pattern = context.createPattern(tile, 'repeat')!
  pattern.setTransform(new DOMMatrix().scale(1 / pixelsPerUnit))
  return pattern
}
