/** Settings of the room of networks that only look elsewhere: they begin nothing anew, and are no difference of runs. */
export const LOOKS = ["example", "unit", "discretise", "show_test"];
/** Settings for which the engine makes a new program: asked for at the end of a drag, not on the way. */
export const SLOW = ["batch", "momentum"];
/** Settings that pictures have a place for, so that no field is needed. */
export const PLACED = ["features", "layers", "given", "start_seed", "data_seed", ...LOOKS];
/** Parts of the room that a lesson may do without. */
export const PARTS = ["backprop", "weights", "sweep"];
