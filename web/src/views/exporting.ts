/** A picture as a file: what is drawn, at twice the size, on the paper of the theme. */

const KEPT = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "stroke-linecap",
  "stroke-linejoin",
  "stroke-opacity",
  "opacity",
  "font-family",
  "font-size",
  "font-style",
  "font-weight",
  "text-anchor",
  "paint-order",
];
const SHARPNESS = 2;

/** An SVG on its own: the styles that the page gives it written onto its parts, handles left out. */
export function svgText(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const from = [svg, ...svg.querySelectorAll("*")];
  const to = [copy, ...copy.querySelectorAll("*")];
  to.forEach((part, index) => {
    const style = getComputedStyle(from[index] as Element);
    part.removeAttribute("style");
    part.removeAttribute("class");
    for (const name of KEPT) part.setAttribute(name, style.getPropertyValue(name));
  });
  for (const part of copy.querySelectorAll("[data-screen-only]")) part.remove();
  const { width, height } = svg.getBoundingClientRect();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  return new XMLSerializer().serializeToString(copy);
}

async function imageOf(svg: SVGSVGElement): Promise<HTMLImageElement> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(svg))}`;
  await image.decode();
  return image;
}

function write(pen: CanvasRenderingContext2D, words: Element, frame: DOMRect): void {
  const { left, top, height } = words.getBoundingClientRect();
  const style = getComputedStyle(words);
  pen.font = `${style.fontSize} ${style.fontFamily}`;
  pen.fillStyle = style.color;
  pen.textBaseline = "middle";
  pen.fillText(words.textContent ?? "", left - frame.left, top - frame.top + height / 2);
}

/** All canvases, SVGs and marked words of a node as one PNG, each where it lies. */
export async function png(node: HTMLElement): Promise<Blob> {
  const frame = node.getBoundingClientRect();
  const canvas = document.createElement("canvas");
  canvas.width = frame.width * SHARPNESS;
  canvas.height = frame.height * SHARPNESS;
  const pen = canvas.getContext("2d") as CanvasRenderingContext2D;
  pen.scale(SHARPNESS, SHARPNESS);
  pen.fillStyle = getComputedStyle(node).getPropertyValue("--paper");
  pen.fillRect(0, 0, frame.width, frame.height);
  for (const part of node.querySelectorAll<HTMLCanvasElement | SVGSVGElement>("canvas, svg")) {
    const { left, top, width, height } = part.getBoundingClientRect();
    const source = part instanceof SVGSVGElement ? await imageOf(part) : part;
    if (width && height) pen.drawImage(source, left - frame.left, top - frame.top, width, height);
  }
  for (const words of node.querySelectorAll("[data-words]")) write(pen, words, frame);
  return new Promise((done, failed) => {
    canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("the picture is empty"))), "image/png");
  });
}

/** The same as one SVG: what is drawn on canvases as images in it, what is drawn as SVG and written as it is. */
export function mixedSvg(node: HTMLElement): string {
  const frame = node.getBoundingClientRect();
  const made = (name: string, values: Record<string, string | number>) => {
    const part = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(values)) part.setAttribute(key, String(value));
    return part;
  };
  const { width, height } = frame;
  const whole = made("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  whole.append(made("rect", { width, height, fill: getComputedStyle(node).getPropertyValue("--paper").trim() }));
  for (const part of node.querySelectorAll<HTMLCanvasElement | SVGSVGElement>("canvas, svg")) {
    const box = part.getBoundingClientRect();
    if (!box.width || !box.height) continue;
    const place = { x: box.left - frame.left, y: box.top - frame.top, width: box.width, height: box.height };
    if (part instanceof SVGSVGElement) {
      const inner = new DOMParser().parseFromString(svgText(part), "image/svg+xml").documentElement;
      for (const [key, value] of Object.entries(place)) inner.setAttribute(key, String(value));
      whole.append(document.importNode(inner, true));
    } else {
      whole.append(made("image", { ...place, preserveAspectRatio: "none", href: part.toDataURL("image/png") }));
    }
  }
  for (const words of node.querySelectorAll("[data-words]")) {
    const box = words.getBoundingClientRect();
    const style = getComputedStyle(words);
    const text = made("text", {
      x: box.left - frame.left,
      y: box.top - frame.top + box.height / 2,
      "dominant-baseline": "central",
      fill: style.color,
      "font-family": style.fontFamily,
      "font-size": style.fontSize,
      "font-style": style.fontStyle,
      "font-weight": style.fontWeight,
    });
    text.textContent = words.textContent;
    whole.append(text);
  }
  return new XMLSerializer().serializeToString(whole);
}

export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
