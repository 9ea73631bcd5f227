import { mount, unmount } from "svelte";
import "./style/base.css";
import { type Embedded, EmbeddedModel } from "./model/embedded";
import type { Model } from "./model/model";
import { SocketModel } from "./model/socket";
import { fromWidget } from "./model/widget";
import Shell from "./shell/Shell.svelte";

function show(model: Model, el: HTMLElement, own: boolean): () => void {
  const shell = mount(Shell, { target: el, props: { model, own } });
  return () => void unmount(shell);
}

/** In a notebook: anywidget calls this with its own model, and what it returns when the cell goes. */
function render({ model, el }: { model: Parameters<typeof fromWidget>[0]; el: HTMLElement }): () => void {
  return show(fromWidget(model), el, false);
}

/** The playground's page: `address` is that of its line to the engine. */
export function playground({ address, el }: { address: string; el: HTMLElement }): () => void {
  document.body.style.margin = "0";
  return show(new SocketModel(address), el, true);
}

/** A page that holds its answers itself, as a report does. */
export function embedded({ page, el }: { page: Embedded; el: HTMLElement }): () => void {
  document.body.style.margin = "0";
  return show(new EmbeddedModel(page), el, true);
}

export default { render };
