/** The grid: points in degrees, and the cells around them. */

import { NARROW } from './borders'

export class Grid {
  readonly ny: number
  readonly nx: number
  private readonly dy: number
  private readonly dx: number

  constructor(
    private readonly latitude: [number, number, number],
    private readonly longitude: [number, number, number],
  ) {
    this.ny = latitude[2]
    this.nx = longitude[2]
    this.dy = (latitude[1] - latitude[0]) / (this.ny - 1)
    this.dx = (longitude[1] - longitude[0]) / (this.nx - 1)
  }

  /** Row and column of the cell that a point lies in, null outside. */
  cell(longitude: number, latitude: number): [number, number] | null {
    const j = Math.round((latitude - this.latitude[0]) / this.dy)
    const i = Math.round((longitude - this.longitude[0]) / this.dx)
    return j >= 0 && j < this.ny && i >= 0 && i < this.nx ? [j, i] : null
  }

  /** Longitude and latitude of a grid point. */
  point(j: number, i: number): [number, number] {
    return [this.longitude[0] + i * this.dx, this.latitude[0] + j * this.dy]
  }

  /** West, north, east and south edges of the outermost cells in the plane, see `borders.plane`. */
  get box(): [number, number, number, number] {
    const [west, east] = [this.longitude[0] - this.dx / 2, this.longitude[1] + this.dx / 2]
    const [south, north] = [this.latitude[0] - this.dy / 2, this.latitude[1] + this.dy / 2]
    return [west * NARROW, -north, east * NARROW, -south]
  }
}
