/** Wind barbs: a pennant is 50 knots, a long feather 10, a short one 5. */

const KNOTS = 3600 / 1852

export interface Feathers {
  pennants: number
  long: number
  short: number
}

/** What a barb of a speed in m/s wears, to the nearest 5 knots. */
export function feathers(speed: number): Feathers {
  const fives = Math.round((speed * KNOTS) / 5)
  return { pennants: Math.floor(fives / 10), long: Math.floor((fives % 10) / 2), short: fives % 2 }
}

export type Segment = [number, number, number, number]

const LENGTH = 20
const GAP = 3.6
const REACH = 7.5
const LEAN = 3

/**
 * The strokes of a barb whose point is the origin, in pixels, y downwards, for a wind from the north: the shaft goes
 * up. Feathers are to the right looking upwind, where pressure is low on the northern hemisphere.
 */
export function strokes({ pennants, long, short }: Feathers): Segment[] {
  if (pennants + long + short === 0) return []
  const made: Segment[] = [[0, 0, 0, -LENGTH]]
  let at = -LENGTH
  for (let n = 0; n < pennants; n++) {
    made.push([0, at, REACH, at], [REACH, at, 0, at + GAP], [REACH * 0.5, at, 0, at + GAP * 0.5])
    at += GAP + 1
  }
  for (let n = 0; n < long; n++) {
    made.push([0, at, REACH, at - LEAN])
    at += GAP
  }
  if (short) {
    if (at === -LENGTH) at += GAP
    made.push([0, at, REACH / 2, at - LEAN / 2])
  }
  return made
}

const CALM_RADIUS = 2.5

/** Add a barb at a place in pixels to a path, for a wind in m/s from a direction in degrees. */
export function addBarb(path: Path2D, x: number, y: number, speed: number, from: number): void {
  const worn = strokes(feathers(speed))
  const angle = (from * Math.PI) / 180
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)]
  for (const [x0, y0, x1, y1] of worn) {
    path.moveTo(x + cos * x0 - sin * y0, y + sin * x0 + cos * y0)
    path.lineTo(x + cos * x1 - sin * y1, y + sin * x1 + cos * y1)
  }
  if (!worn.length) {
    path.moveTo(x + CALM_RADIUS, y)
    path.arc(x, y, CALM_RADIUS, 0, 2 * Math.PI)
  }
}
