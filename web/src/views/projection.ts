/** A surface seen from above at an angle: turn about the vertical, tilt, and look along parallel lines. */

export interface View {
  /** Radians about the vertical. */
  turn: number;
  /** Radians above the horizon: 0 from the side, half of pi from straight above. */
  tilt: number;
}

/** Project a point of the unit cube about the origin, x and y across and z up, to (right, up, near). */
export function project(view: View, x: number, y: number, z: number): [number, number, number] {
  const [cosTurn, sinTurn] = [Math.cos(view.turn), Math.sin(view.turn)];
  const [cosTilt, sinTilt] = [Math.cos(view.tilt), Math.sin(view.tilt)];
  const right = x * cosTurn - y * sinTurn;
  const away = x * sinTurn + y * cosTurn;
  return [right, away * sinTilt + z * cosTilt, z * sinTilt - away * cosTilt];
}

/** The cells of a mesh of `columns` by `rows` corners, the farthest first, so that near ones cover far ones. */
export function farthestFirst(view: View, columns: number, rows: number): [number, number][] {
  const across = order(columns - 1, Math.sin(view.turn) > 0);
  const along = order(rows - 1, Math.cos(view.turn) > 0);
  return along.flatMap((row) => across.map((each): [number, number] => [each, row]));
}

function order(count: number, falling: boolean): number[] {
  const rising = Array.from({ length: count }, (_, index) => index);
  return falling ? rising.reverse() : rising;
}

/** How far a box of side 1 and the given height reaches from its middle, to the right and up. */
export function reach(view: View, height: number): [number, number] {
  const [cos, sin] = [Math.abs(Math.cos(view.turn)), Math.abs(Math.sin(view.turn))];
  const half = (cos + sin) / 2;
  return [half, half * Math.sin(view.tilt) + (height / 2) * Math.cos(view.tilt)];
}
