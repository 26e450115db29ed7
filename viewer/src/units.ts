/** What numbers are called by people: Beaufort forces, points of the compass. */

/** Lower limits of the Beaufort forces 1 to 12, m/s (WMO). */
export const BEAUFORT_LIMITS = [0.3, 1.6, 3.4, 5.5, 8.0, 10.8, 13.9, 17.2, 20.8, 24.5, 28.5, 32.7]

/** Beaufort force of a speed in m/s; a limit belongs to the force above it. NaN stays NaN. */
export function beaufort(speed: number): number {
  if (Number.isNaN(speed)) return NaN
  const rounded = Math.round(speed * 1e4) / 1e4
  return BEAUFORT_LIMITS.filter((limit) => rounded >= limit).length
}

/** The sixteenth of the compass, 0 (north) to 15, that a wind from `degrees` blows from, of 16 or 8 points. */
export function compassPoint(degrees: number, points: 16 | 8 = 16): number {
  const turned = (((degrees % 360) + 360) % 360) / 360
  return (Math.round(turned * points) % points) * (16 / points)
}

/** The direction in degrees, in [0, 360), that a wind (u to the east, v to the north) blows from. */
export function windFrom(u: number, v: number): number {
  return ((Math.atan2(-u, -v) * 180) / Math.PI + 360) % 360
}

/** The quantile of numbers in order, linear between them, as numpy has it. NaN of none. */
export function quantile(sorted: readonly number[], q: number): number {
  if (!sorted.length) return NaN
  const at = q * (sorted.length - 1)
  const low = Math.floor(at)
  const high = Math.min(low + 1, sorted.length - 1)
  return sorted[low] + (at - low) * (sorted[high] - sorted[low])
}

/** Numbers in order, without NaN. */
export function ordered(values: Iterable<number>): number[] {
  return [...values].filter((value) => !Number.isNaN(value)).sort((a, b) => a - b)
}
