/** The rooms, in the order of their tabs: what each is on the page, and what shows it. */

import type { Component } from "svelte";
import type { State } from "../model/asking";
import type { Model } from "../model/model";
import { type Manner, type Played, type Reader, Room } from "../state/room.svelte";
import { RunningRoom } from "../state/running.svelte";
import type { Settings } from "../state/settings.svelte";
import type { Row } from "../state/tables";
import Batches from "./Batches.svelte";
import { batches } from "./batches";
import Network from "./Network.svelte";
import { frame, picture, sweepMap } from "./network/frames";
import { PARTS } from "./network/looks";
import OneWeight from "./OneWeight.svelte";
import { oneWeight, twoWeights } from "./pictures";
import TwoWeights from "./TwoWeights.svelte";
import Valleys from "./Valleys.svelte";
import { rough, valleys } from "./valleys";
import YourData from "./YourData.svelte";
import { Desk } from "./yourdata/desk.svelte";

type View = Component<{ room: Settings; link?: (() => string) | undefined }>;

export interface Kind {
  /** As `tables.json` has it. */
  name: string;
  begin(rows: Row[], model: Model, state: State): Settings;
  view: View;
}

/** An instant room: its view takes the pictures that its own reader makes. */
function instant<P extends Played>(
  name: string,
  read: Reader<P>,
  view: Component<{ room: Room<P>; link?: (() => string) | undefined }>,
  manner?: Manner,
): Kind {
  return {
    name,
    begin: (rows, model, state) => new Room<P>(name, rows, model, read, state, manner),
    view: view as unknown as View,
  };
}

export const kinds: Kind[] = [
  instant("one-weight", oneWeight, OneWeight),
  instant("two-weights", twoWeights, TwoWeights),
  instant("batches", batches, Batches, { speed: 10 }),
  instant("valleys", valleys, Valleys, { speed: 10, rough }),
  {
    name: "network",
    begin: (rows, model, state) =>
      new RunningRoom("network", rows, model, { picture, frame, beside: sweepMap }, state, PARTS),
    view: Network as unknown as View,
  },
  {
    name: "your-data",
    begin: (rows, model, state) => new Desk("your-data", rows, model, state),
    view: YourData as unknown as View,
  },
];
