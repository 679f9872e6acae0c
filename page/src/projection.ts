// Three axes on a flat picture: a cube that is turned, with a little perspective.

export class Projection {
  yaw = -0.6;
  pitch = 0.42;
  zoom = 1;

  turn(x: number, y: number): void {
    this.yaw += x;
    this.pitch = Math.max(-1.5, Math.min(1.5, this.pitch + y));
  }

  // A point of the unit cube to the screen: its middle lies at the center, z points upwards.
  place([x, y, z]: readonly number[], width: number, height: number): [number, number, number] {
    const [a, b, c] = [x - 0.5, y - 0.5, z - 0.5];
    const [cos, sin, up, over] = [Math.cos(this.yaw), Math.sin(this.yaw), Math.cos(this.pitch), Math.sin(this.pitch)];
    const right = a * cos - b * sin;
    const away = a * sin + b * cos;
    const depth = away * up - c * over;
    const height3 = away * over + c * up;
    const size = (Math.min(width, height) * 0.54 * this.zoom) / (1 + 0.22 * depth);
    return [width / 2 + right * size, height * 0.48 - height3 * size, depth];
  }
}

export const CORNERS = [0, 1, 2, 3, 4, 5, 6, 7].map((n) => [n & 1, (n >> 1) & 1, (n >> 2) & 1]);
// Pairs of corners that differ in one axis.
export const EDGES = CORNERS.flatMap((a, i) =>
  CORNERS.flatMap((b, j) => (j > i && a.filter((v, k) => v !== b[k]).length === 1 ? [[i, j]] : [])),
);
