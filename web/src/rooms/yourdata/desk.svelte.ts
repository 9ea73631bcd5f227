import { Asking, type State } from "../../model/asking";
import type { Answer, Model } from "../../model/model";
import { readPage, type Trained } from "../../run/reading";
import { Settings } from "../../state/settings.svelte";
import type { Row } from "../../state/tables";
import { save } from "../../views/exporting";
import type { Spoken } from "../../words/spoken";
import type { Language } from "../../words/words";
import { BEGUN, type Live, readProgress, type Table } from "./reading";

/** Longest piece of an upload that the engine takes (`playground/limits.py`). */
export const PIECE = 2 << 20;
export const SAVED = ["model", "predictions", "report", "table"] as const;
export type Saved = (typeof SAVED)[number];

/** What rows are called that were pasted. */
export const PASTED = "pasted.csv";

function saidOf(answer: Answer): Spoken {
  return (answer.said ?? answer.message ?? "") as Spoken;
}

interface Coming {
  file: Blob;
  name: string;
  at: number;
  id: number;
}

/** The room of one's own data on the page: a table on its way or there, a fit on its way, and what came of it. */
export class Desk extends Settings {
  table = $state.raw<Table | undefined>();
  /** The table that is on its way: when all of it is there, it is being read. */
  coming = $state.raw<{ name: string; size: number; at: number } | undefined>();
  fitting = $state(false);
  stopping = $state(false);
  live = $state.raw<Live>(BEGUN);
  /** When the fit began, in milliseconds of this page. */
  began = 0;
  page = $state.raw<Trained | undefined>();
  /** The settings that `page` was fitted by. */
  fitted = $state.raw<State>({});
  kept = $state.raw<{ page: Trained; state: State } | undefined>();
  /** What is being made for saving. */
  saving = $state<Saved | "">("");
  /** What the engine says is wrong. */
  wrong = $state.raw<Spoken>("");
  /** What went wrong on this side: the engine began anew without the table, or the browser cannot read the file. */
  notice = $state.raw<{ key: "gone" | "unreadable"; name: string } | undefined>();
  code = $state("");
  command = $state("");
  private readonly model: Model;
  private readonly asking: Asking;
  private readonly heard = (answer: Answer, buffers: DataView[]) => this.hear(answer, buffers);
  /** The next picture answers the opening of the room, and says what the engine has. */
  private opening = false;
  private upload: Coming | undefined;
  private fitId = -1;
  private saveId = -1;
  private asked: State = {};

  constructor(name: string, rows: Row[], model: Model, state: State) {
    super(name, rows, state);
    this.model = model;
    this.asking = new Asking(model, name, (answer) => this.receive(answer));
    model.on("msg:custom", this.heard);
  }

  /** Whether there is a table with the column that is asked for. */
  get ready(): boolean {
    return this.table?.columns.some(({ name }) => name === this.state.target) ?? false;
  }

  /** Whether the settings are not those of the fit that is shown. */
  get changed(): boolean {
    return this.rows.some(({ name }) => this.state[name] !== this.fitted[name]);
  }

  /** The file that the command and the Python read, where it is not the one that was brought. */
  get elsewhere(): string {
    const name = this.table?.name ?? "";
    return /\.(csv|tsv|txt|parquet|pq)$/i.test(name) && name !== PASTED ? "" : name.replace(/(\.[^.]*)?$/, ".csv");
  }

  open(): void {
    this.opening = true;
    this.asking.again(this.state);
  }

  leave(): void {}

  end(): void {
    this.asking.end();
    this.model.off("msg:custom", this.heard);
  }

  /** Send a file, or pasted text as one, piece by piece; each piece waits until the one before has come. */
  async bring(file: Blob, name: string): Promise<void> {
    this.wrong = "";
    this.notice = undefined;
    this.upload = { file, name, at: 0, id: -1 };
    await this.sendPiece();
  }

  fit(): void {
    if (!this.ready || this.fitting) return;
    this.wrong = "";
    this.fitting = true;
    this.stopping = false;
    this.live = BEGUN;
    this.began = performance.now();
    this.page = undefined;
    this.asked = this.state;
    this.fitId = this.tell("fit", { state: this.state });
  }

  stop(): void {
    this.stopping = true;
    this.tell("stop");
  }

  /** Ask for a file; a report begins in a language, and can be read in the other. */
  save(what: Saved, language: Language): void {
    this.saving = what;
    this.wrong = "";
    this.saveId = this.tell("download", { what, language });
  }

  keep(): void {
    this.kept = this.page && { page: this.page, state: this.fitted };
  }

  drop(): void {
    this.kept = undefined;
  }

  protected ask(): void {
    this.asking.ask(this.state);
  }

  private tell(what: string, more: Record<string, unknown> = {}, buffers: ArrayBuffer[] = []): number {
    const id = Asking.next();
    this.model.send({ do: what, room: this.name, id, ...more }, undefined, buffers);
    return id;
  }

  private async sendPiece(): Promise<void> {
    const { upload } = this;
    if (!upload) return;
    const { file, name, at } = upload;
    this.coming = { name, size: file.size, at };
    const piece = await file
      .slice(at, at + PIECE)
      .arrayBuffer()
      .catch(() => undefined);
    if (upload !== this.upload) return;
    if (piece) {
      upload.id = this.tell("upload", { name, size: file.size, at }, [piece]);
      this.coming = { name, size: file.size, at: at + piece.byteLength };
    } else {
      this.upload = this.coming = undefined;
      this.notice = { key: "unreadable", name };
    }
  }

  /** The answer to new settings, or to the opening of the room. */
  private receive(answer: Answer): void {
    if (answer.is === "error") {
      this.wrong = saidOf(answer);
      return;
    }
    if (answer.is !== "picture") return;
    this.wrong = "";
    this.code = String(answer.code ?? "");
    this.command = String(answer.command ?? "");
    if (!this.opening) return;
    this.opening = false;
    this.stand((answer.table ?? undefined) as Table | undefined, answer.fitting === true);
  }

  /** Take what the engine says is there; after a broken line that is not what was. */
  private stand(table: Table | undefined, fitting: boolean): void {
    const lost = (this.table && !table) || (this.fitting && !fitting);
    if (lost) {
      if (this.table && !table) this.notice = { key: "gone", name: this.table.name };
      this.upload = this.coming = undefined;
      this.fitId = this.saveId = -1;
      this.fitting = fitting;
      this.saving = "";
    }
    this.table = table;
  }

  private hear(answer: Answer, buffers: DataView[]): void {
    if (answer.room !== this.name) return;
    if (answer.id === this.upload?.id) this.hearUpload(answer);
    else if (answer.id === this.fitId) this.hearFit(answer, buffers);
    else if (answer.id === this.saveId) this.hearFile(answer, buffers);
  }

  private hearUpload(answer: Answer): void {
    if (answer.is === "uploaded" && this.upload) {
      this.upload.at = Number(answer.at);
      void this.sendPiece();
    } else if (answer.is === "table") {
      this.upload = this.coming = undefined;
      this.page = this.kept = undefined;
      this.table = answer.table as Table;
      this.ask();
    } else if (answer.is === "error") {
      this.upload = this.coming = undefined;
      this.wrong = saidOf(answer);
    }
  }

  private hearFit(answer: Answer, buffers: DataView[]): void {
    if (answer.is === "progress") {
      this.live = readProgress(answer, buffers, this.live);
    } else if (answer.is === "fitted") {
      this.fitting = this.stopping = false;
      this.fitted = this.asked;
      this.page = readPage(answer, buffers) as Trained;
    } else if (answer.is === "error") {
      this.fitting = this.stopping = false;
      this.wrong = saidOf(answer);
    }
  }

  private hearFile(answer: Answer, buffers: DataView[]): void {
    this.saving = "";
    const [whole] = buffers;
    if (answer.is === "error") this.wrong = saidOf(answer);
    else if (answer.is === "file" && whole) save(new Blob([whole as BlobPart]), String(answer.name));
  }
}
