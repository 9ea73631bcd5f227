/** Handles that a pointer drags and arrow keys move. */

import type { Action } from "svelte/action";

export interface Dragged {
  /** Where the pointer is, in pixels from the corner of the element. */
  move(x: number, y: number): void;
  end(): void;
}

/** Follow a pointer from its press until it lets go, wherever it goes meanwhile. */
export const dragging: Action<SVGElement, Dragged> = (node, first) => {
  let handlers = first;
  let held = false;

  function follow(event: PointerEvent): void {
    const corner = node.getBoundingClientRect();
    handlers.move(event.clientX - corner.left, event.clientY - corner.top);
  }
  function down(event: PointerEvent): void {
    if (event.button !== 0) return;
    held = true;
    node.setPointerCapture(event.pointerId);
    follow(event);
  }
  function move(event: PointerEvent): void {
    if (held) follow(event);
  }
  function up(): void {
    if (held) handlers.end();
    held = false;
  }
  node.addEventListener("pointerdown", down);
  node.addEventListener("pointermove", move);
  node.addEventListener("pointerup", up);
  node.addEventListener("pointercancel", up);
  return {
    update(next) {
      handlers = next;
    },
    destroy() {
      node.removeEventListener("pointerdown", down);
      node.removeEventListener("pointermove", move);
      node.removeEventListener("pointerup", up);
      node.removeEventListener("pointercancel", up);
    },
  };
};

/** What an arrow key asks for, in steps across and up: one, or ten with shift; undefined for any other key. */
export function arrow(event: KeyboardEvent): readonly [number, number] | undefined {
  const size = event.shiftKey ? 10 : 1;
  const ways: Record<string, readonly [number, number]> = {
    ArrowRight: [size, 0],
    ArrowLeft: [-size, 0],
    ArrowUp: [0, size],
    ArrowDown: [0, -size],
    PageUp: [0, 10],
    PageDown: [0, -10],
  };
  return ways[event.key];
}
