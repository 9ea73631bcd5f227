/** The network on one canvas: drawn anew at every frame of the screen that has something new. */

import { colour } from "../../views/colours";
import { fillPictures, shades } from "../../views/shading";
import type { NetworkFrame } from "./frames";
import { bend, type Edge, edges, FEATURES, type Layout, sizes, unitPlace } from "./shape";
import type { Stage } from "./stages";

const ACROSS = 16;
const SIDE = 40;
const BOX = 6;
/** Connections beyond which they are straight and the faint ones left out. */
const MANY = 800;
const FAINT = 0.06;
const CHIP = 15;

export interface Look {
  layout: Layout;
  /** Names of the features that are chosen. */
  features: readonly string[];
  hidden: readonly number[];
  /** The unit whose weights are told in numbers, by its place among all; -1 for none. */
  pointed: number;
  /** The unit that is shown large. */
  chosen: number;
  /** The connection under the pointer, by its place among the weights; -1 for none. */
  edge: number;
  stage: Stage | undefined;
  /** Numbers of the example's features, in the order of `features`. */
  inputs: readonly number[];
  figure(value: number): string;
}

interface Inks {
  table: Uint32Array;
  above: string;
  below: string;
  ink: string;
  quiet: string;
  paper: string;
  slope: string;
  danger: string;
  font: string;
}

/** A canvas of the network, and the pictures of its units beside it, of which each is copied to its place. */
export class Drawing {
  private readonly canvas: HTMLCanvasElement;
  private readonly pen: CanvasRenderingContext2D;
  private readonly atlas = document.createElement("canvas");
  private readonly inputs = document.createElement("canvas");
  private image: ImageData | undefined;
  private inks: Inks;
  private wired: { shape: string; edges: Edge[] } = { shape: "", edges: [] };

  constructor(canvas: HTMLCanvasElement) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d") as CanvasRenderingContext2D;
    this.inks = this.dress();
  }

  /** Take the colours of the theme. */
  dress(): Inks {
    const of = (name: string) => colour(this.canvas, name);
    this.inks = {
      table: shades(this.canvas),
      above: of("class-1"),
      below: of("class-0"),
      ink: of("ink"),
      quiet: of("quiet"),
      paper: of("paper"),
      slope: of("slope"),
      danger: of("danger"),
      font: getComputedStyle(this.canvas).fontFamily,
    };
    this.paintFeatures();
    return this.inks;
  }

  private paintFeatures(): void {
    const names = Object.keys(FEATURES);
    const values = new Float32Array(names.length * SIDE * SIDE);
    names.forEach((name, index) => {
      const of = FEATURES[name] as (x: number, y: number) => number;
      let most = 0;
      const first = index * SIDE * SIDE;
      for (let spot = 0; spot < SIDE * SIDE; spot++) {
        const across = ((2 * (spot % SIDE)) / (SIDE - 1) - 1) * BOX;
        const up = ((2 * Math.floor(spot / SIDE)) / (SIDE - 1) - 1) * BOX;
        values[first + spot] = of(across, up);
        most = Math.max(most, Math.abs(values[first + spot] as number));
      }
      for (let spot = 0; spot < SIDE * SIDE; spot++) values[first + spot] = (values[first + spot] as number) / most;
    });
    this.inputs.width = names.length * SIDE;
    this.inputs.height = SIDE;
    const pen = this.inputs.getContext("2d") as CanvasRenderingContext2D;
    const image = pen.createImageData(this.inputs.width, SIDE);
    fillPictures(image, this.inks.table, values, names.length, SIDE, names.length);
    pen.putImageData(image, 0, 0);
  }

  paint(frame: NetworkFrame, look: Look): void {
    const { layout } = look;
    const sharp = devicePixelRatio || 1;
    const [width, height] = [Math.round(layout.width * sharp), Math.round(layout.height * sharp)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.pen.setTransform(sharp, 0, 0, sharp, 0, 0);
    this.pen.clearRect(0, 0, layout.width, layout.height);
    if (frame.weights.length !== this.wires(look).length + units(look.hidden)) return;
    this.paintEdges(frame, look);
    this.paintUnits(frame, look);
    if (look.stage) this.paintStage(frame, look);
    if (look.pointed >= 0 || look.edge >= 0) this.paintWeights(frame, look);
  }

  /** The connections, worked out anew only where the network has another shape. */
  private wires(look: Look): Edge[] {
    const counts = sizes(look.features.length, look.hidden);
    if (counts.join() !== this.wired.shape) this.wired = { shape: counts.join(), edges: edges(counts) };
    return this.wired.edges;
  }

  private ends(look: Look, edge: Edge): number[] {
    const from =
      edge.layer === 0
        ? look.layout.inputs[Object.keys(FEATURES).indexOf(look.features[edge.from] as string)]
        : look.layout.layers[edge.layer - 1]?.[edge.from];
    const to = look.layout.layers[edge.layer]?.[edge.to];
    return bend(from ?? [0, 0], to ?? [0, 0], look.layout.side);
  }

  private paintEdges(frame: NetworkFrame, look: Look): void {
    const all = this.wires(look);
    const { stage } = look;
    const most = stage?.kind === "gradient" ? largest(frame.gradient) : 0;
    for (const edge of all) {
      const weight = frame.weights[edge.place] as number;
      if (all.length > MANY && Math.abs(weight) < FAINT) continue;
      const told = stage ? staged(stage, edge, frame, most) : "plain";
      const curve = this.ends(look, edge);
      this.stroke(curve, weight, told, edge.place === look.edge, all.length > MANY);
    }
  }

  private stroke(curve: number[], weight: number, told: Told, pointed: boolean, straight: boolean): void {
    const { pen, inks } = this;
    const value = typeof told === "number" ? told : weight;
    const size = Math.abs(value);
    pen.strokeStyle = typeof told === "number" ? inks.slope : value < 0 ? inks.below : inks.above;
    pen.lineWidth = pointed ? 7 : 0.7 + (6 * size) / (1 + size);
    pen.globalAlpha = told === "aside" ? 0.1 : Math.min(1, 0.3 + 0.6 * size);
    const [x0 = 0, y0 = 0, x1 = 0, y1 = 0, x2 = 0, y2 = 0, x3 = 0, y3 = 0] = curve;
    pen.beginPath();
    pen.moveTo(x0, y0);
    if (straight) pen.lineTo(x3, y3);
    else pen.bezierCurveTo(x1, y1, x2, y2, x3, y3);
    pen.stroke();
    pen.globalAlpha = 1;
  }

  private paintUnits(frame: NetworkFrame, look: Look): void {
    const count = frame.units.shape[0] ?? 0;
    const side = frame.units.shape[1] ?? SIDE;
    const rows = Math.ceil(count / ACROSS);
    const over = this.atlas.getContext("2d") as CanvasRenderingContext2D;
    if (!this.image || this.image.width !== ACROSS * side || this.image.height !== rows * side) {
      this.atlas.width = ACROSS * side;
      this.atlas.height = rows * side;
      this.image = over.createImageData(ACROSS * side, rows * side);
    }
    fillPictures(this.image, this.inks.table, frame.units.data as Float32Array, count, side, ACROSS);
    over.putImageData(this.image, 0, 0);
    Object.keys(FEATURES).forEach((name, index) => {
      const place = look.layout.inputs[index];
      if (place) this.unit(this.inputs, index * SIDE, 0, SIDE, place, look, look.features.includes(name) ? 1 : 0.28);
    });
    for (let layer = 0; layer <= look.hidden.length; layer++) {
      look.layout.layers[layer]?.forEach((place, unit) => {
        const at = unitPlace(look.hidden, layer, unit);
        this.unit(this.atlas, (at % ACROSS) * side, Math.floor(at / ACROSS) * side, side, place, look, 1);
        if (frame.dead[at]) this.cross(place, look.layout.side);
        if (at === look.chosen) this.frame(place, look.layout.side);
      });
    }
  }

  private unit(
    from: HTMLCanvasElement,
    x: number,
    y: number,
    side: number,
    place: readonly [number, number],
    look: Look,
    opacity: number,
  ): void {
    const { pen, inks } = this;
    const wide = look.layout.side;
    const [left, top] = [place[0] - wide / 2, place[1] - wide / 2];
    pen.fillStyle = inks.paper;
    pen.fillRect(left, top, wide, wide);
    pen.globalAlpha = opacity;
    pen.drawImage(from, x, y, side, side, left, top, wide, wide);
    pen.strokeStyle = inks.quiet;
    pen.lineWidth = 1;
    pen.strokeRect(left - 0.5, top - 0.5, wide + 1, wide + 1);
    pen.globalAlpha = 1;
  }

  private frame(place: readonly [number, number], side: number): void {
    const { pen, inks } = this;
    pen.strokeStyle = inks.ink;
    pen.lineWidth = 2.5;
    pen.strokeRect(place[0] - side / 2 - 2.5, place[1] - side / 2 - 2.5, side + 5, side + 5);
  }

  private cross(place: readonly [number, number], side: number): void {
    const { pen, inks } = this;
    const half = side / 2 - 3;
    pen.strokeStyle = inks.danger;
    pen.lineWidth = 3;
    pen.beginPath();
    for (const way of [1, -1]) {
      pen.moveTo(place[0] - half, place[1] - way * half);
      pen.lineTo(place[0] + half, place[1] + way * half);
    }
    pen.stroke();
  }

  /** The numbers of a stage on the units that it is about, and which way they flow. */
  private paintStage(frame: NetworkFrame, look: Look): void {
    const stage = look.stage as Stage;
    const { side } = look.layout;
    if (stage.kind === "inputs") {
      look.features.forEach((name, index) => {
        const place = look.layout.inputs[Object.keys(FEATURES).indexOf(name)];
        if (place) this.chip(look.figure(look.inputs[index] as number), place[0], place[1] + side / 2, this.inks.ink);
      });
      return;
    }
    if (stage.kind === "gradient") return;
    const values = stage.kind === "back" ? frame.back : frame.forth;
    const ink = stage.kind === "back" ? this.inks.slope : this.inks.ink;
    look.layout.layers[stage.layer]?.forEach((place, unit) => {
      const value = values[unitPlace(look.hidden, stage.layer, unit)] as number;
      const bold = unitPlace(look.hidden, stage.layer, unit) === look.chosen;
      if (side >= 24 || bold) this.chip(look.figure(value), place[0], place[1] + side / 2, ink);
    });
  }

  /** The weights that lead to a unit, or the one under the pointer, in numbers on their lines. */
  private paintWeights(frame: NetworkFrame, look: Look): void {
    for (const edge of this.wires(look)) {
      const leads = unitPlace(look.hidden, edge.layer, edge.to) === look.pointed;
      if (edge.place !== look.edge && !(leads && look.edge < 0)) continue;
      const [x0 = 0, y0 = 0, , , , , x3 = 0, y3 = 0] = this.ends(look, edge);
      const t = edge.place === look.edge ? 0.5 : 0.3;
      const ease = t * t * (3 - 2 * t);
      this.chip(
        look.figure(frame.weights[edge.place] as number),
        x0 + (x3 - x0) * t,
        y0 + (y3 - y0) * ease + CHIP / 2,
        this.inks.ink,
      );
    }
  }

  private chip(text: string, middle: number, bottom: number, ink: string): void {
    const { pen, inks } = this;
    pen.font = `600 11px ${inks.font}`;
    const wide = pen.measureText(text).width + 8;
    pen.fillStyle = inks.paper;
    pen.strokeStyle = ink;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.roundRect(middle - wide / 2, bottom - CHIP / 2, wide, CHIP, 3);
    pen.fill();
    pen.stroke();
    pen.fillStyle = ink;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.fillText(text, middle, bottom + 0.5);
  }
}

/** How a connection is drawn in a stage: by its weight, by another number, or standing aside. */
type Told = "plain" | "aside" | number;

function staged(stage: Stage, edge: Edge, frame: NetworkFrame, most: number): Told {
  if (stage.kind === "gradient") return ((frame.gradient[edge.place] as number) / (most || 1)) * 3;
  if (stage.kind === "forth") return edge.layer === stage.layer ? "plain" : "aside";
  // The slope of a unit's output comes back along what leads away from it.
  if (stage.kind === "back") return edge.layer === stage.layer + 1 ? (frame.weights[edge.place] as number) : "aside";
  return "aside";
}

function largest(values: Float32Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}

function units(hidden: readonly number[]): number {
  return hidden.reduce((sum, each) => sum + each, 0) + 1;
}
