import { mount, unmount } from "svelte";
import "./style/base.css";
import { bytes, type Embedded, EmbeddedModel } from "./model/embedded";
import type { Model } from "./model/model";
import { SocketModel } from "./model/socket";
import { fromWidget } from "./model/widget";
import Page from "./run/Page.svelte";
import { readPage } from "./run/reading";
import Shell from "./shell/Shell.svelte";

/** The ids of the parts of a file that is all there is: what it shows, and where. */
const HELD = "downslope-page";
const PLACE = "downslope";

function show(model: Model, el: HTMLElement, own: boolean): () => void {
  const shell = mount(Shell, { target: el, props: { model, own } });
  return () => void unmount(shell);
}

/** The pages of runs among what a host holds; none where it holds a room. */
function report(held: Embedded, el: HTMLElement, own: boolean): (() => void) | undefined {
  const runs = held.answers.filter(({ answer }) => answer.is === "run");
  if (!runs.length) return undefined;
  const pages = runs.map(({ answer, buffers }) => readPage(answer, buffers.map(bytes)));
  const page = mount(Page, { target: el, props: { pages, language: String(held.known?.language ?? ""), own } });
  return () => void unmount(page);
}

/** In a notebook: anywidget calls this with its own model, and what it returns when the cell goes. */
function render({ model, el }: { model: Parameters<typeof fromWidget>[0]; el: HTMLElement }): () => void {
  const ours = fromWidget(model);
  const held = ours.get("page") as Embedded | undefined;
  return (held?.answers && report(held, el, false)) ?? show(ours, el, false);
}

/** The playground's page: `address` is that of its line to the engine. */
export function playground({ address, el }: { address: string; el: HTMLElement }): () => void {
  document.body.style.margin = "0";
  return show(new SocketModel(address), el, true);
}

/** A page that holds its answers itself: the runs of a report, or a room as it was. */
export function embedded({ page, el }: { page: Embedded; el: HTMLElement }): () => void {
  document.body.style.margin = "0";
  return report(page, el, true) ?? show(new EmbeddedModel(page), el, true);
}

// A file that holds all that it shows runs this module as its own script, which nobody else could call.
const [held, place] = [document.getElementById(HELD), document.getElementById(PLACE)];
if (held?.getAttribute("type") === "application/json" && place) {
  embedded({ page: JSON.parse(held.textContent ?? ""), el: place });
}

export default { render };
