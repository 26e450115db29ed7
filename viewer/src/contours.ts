/** Contours: where a field reaches what people are warned of, whatever its colours. */

import { plane } from './borders'
import { BEAUFORT_LIMITS } from './units'
import type { Grid } from './grid'
import type { Painting } from './painting'

/** Levels by kind of colours, in the units that people read: mm; m/s of Beaufort 6, 9 and 12. */
export const LEVELS: Record<string, number[]> = {
  rain: [40, 100, 200],
  wind: [6, 9, 12].map((force) => BEAUFORT_LIMITS[force - 1]),
}

/** Ends of a segment: column and row of the grid, in parts of cells. */
export type Segment = [number, number, number, number]

/**
 * The segments along which numbers (y, x) pass a level, linear between points (marching squares); a number equal to the
 * level is inside. Squares with a missing number have none.
 */
export function contour(values: ArrayLike<number>, ny: number, nx: number, level: number): Segment[] {
  const made: Segment[] = []
  for (let j = 0; j + 1 < ny; j++) {
    for (let i = 0; i + 1 < nx; i++) {
      const from = j * nx + i
      const [a, b, c, d] = [values[from], values[from + 1], values[from + nx + 1], values[from + nx]]
      const count = Number(a >= level) + Number(b >= level) + Number(c >= level) + Number(d >= level)
      if (count === 0 || count === 4 || Number.isNaN(a + b + c + d)) continue
      const crossed = crossings([a, b, c, d], level)
      for (let n = 0; n + 1 < crossed.length; n += 2) {
        made.push([i + crossed[n][0], j + crossed[n][1], i + crossed[n + 1][0], j + crossed[n + 1][1]])
      }
    }
  }
  return made
}

// prettier-ignore
const CORNERS: Array<[number, number]> = [[0, 0], [1, 0], [1, 1], [0, 1]]

/** Where the edges of a square are crossed, two points for each segment. */
function crossings(corners: number[], level: number): Array<[number, number]> {
  const made: Array<[number, number]> = []
  for (let n = 0; n < 4; n++) {
    const next = (n + 1) % 4
    if (corners[n] >= level === corners[next] >= level) continue
    const along = (level - corners[n]) / (corners[next] - corners[n])
    const [[x0, y0], [x1, y1]] = [CORNERS[n], CORNERS[next]]
    made.push([x0 + along * (x1 - x0), y0 + along * (y1 - y0)])
  }
  return made
}

const KNOWN = new WeakMap<Painting, Path2D[]>()

/** The contours of a painting's levels as paths in the plane; those of an hour are found once. */
export function contours(painting: Painting, grid: Grid): Path2D[] {
  let paths = KNOWN.get(painting)
  if (!paths) {
    const { field, at, levels } = painting
    const values = Float64Array.from({ length: field.size }, (_, cell) => field.value(at, cell))
    paths = levels.map((level) => pathOf(contour(values, grid.ny, grid.nx, level), grid))
    KNOWN.set(painting, paths)
  }
  return paths
}

function pathOf(segments: Segment[], grid: Grid): Path2D {
  const path = new Path2D()
  for (const [x0, y0, x1, y1] of segments) {
    path.moveTo(...plane(...grid.point(y0, x0)))
    path.lineTo(...plane(...grid.point(y1, x1)))
  }
  return path
}
