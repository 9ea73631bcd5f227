/** The rooms, in the order of their tabs: how each reads its pictures, and what shows them. */

import type { Component } from "svelte";
import type { Played, Reader, Room } from "../state/room.svelte";
import OneWeight from "./OneWeight.svelte";
import { oneWeight, twoWeights } from "./pictures";
import TwoWeights from "./TwoWeights.svelte";

type View = Component<{ room: Room; link?: (() => string) | undefined }>;

export interface Kind {
  name: "one-weight" | "two-weights";
  read: Reader<Played>;
  view: View;
}

// Each view takes the picture that its own reader makes; the list forgets which, the pairs here do not.
export const kinds: Kind[] = [
  { name: "one-weight", read: oneWeight as Reader<Played>, view: OneWeight as unknown as View },
  { name: "two-weights", read: twoWeights as unknown as Reader<Played>, view: TwoWeights as unknown as View },
];
