// Where the page gets its data: from the file itself, or from the server that it came from.

import type { Answer, Details, Findings, Index, Payload, RowScores, Settings, Trajectory, Turns } from "./types";

const POLL = 2000;

export interface Kinds {
  settings: Settings;
  details: Details;
}

export interface Joined {
  turns: Turns;
  findings: Findings;
}

interface Table {
  content: Blob;
  without: string;
}

export interface Carrier {
  readonly live: boolean;
  index(): Promise<Index>;
  get<K extends keyof Kinds>(kind: K, token: string): Promise<Kinds[K]>;
  trajectories(tokens: string[]): Promise<Record<string, Trajectory>>;
  together<K extends keyof Joined>(kind: K, tokens: string[]): Promise<Joined[K] | null>;
  source(src: string): string;
  parquet(tokens: string[]): Promise<Table>;
  scores(token: string, protocol: string, step: number): Promise<(RowScores | null)[]>;
  watch(changed: (index: Index | null) => void, lost: () => void): void;
}

class Embedded implements Carrier {
  readonly live = false;
  private readonly payload: Required<Payload>;

  constructor(payload: Payload) {
    this.payload = payload as Required<Payload>;
  }

  async index(): Promise<Index> {
    return this.payload.index;
  }

  async get<K extends keyof Kinds>(kind: K, token: string): Promise<Kinds[K]> {
    return this.payload[kind][token] as Kinds[K];
  }

  async trajectories(tokens: string[]): Promise<Record<string, Trajectory>> {
    return Object.fromEntries(tokens.map((token) => [token, this.payload.trajectory[token]]));
  }

  async together<K extends keyof Joined>(kind: K, tokens: string[]): Promise<Joined[K] | null> {
    const of = this.payload[kind] as Record<string, Joined[K]>;
    return of[tokens.join(",")] ?? of["*"] ?? null;
  }

  source(src: string): string {
    return src.startsWith("#") ? this.payload.images[Number(src.slice(1))] : src;
  }

  async parquet(): Promise<Table> {
    return { content: dataBlob(this.payload.table), without: "" };
  }

  async scores(): Promise<(RowScores | null)[]> {
    return []; // they stand beside the sheets
  }

  watch(): void {}
}

class Served implements Carrier {
  readonly live = true;
  private tag: string | null = null;

  async index(): Promise<Index> {
    const answer = await request("api/index");
    this.tag = answer.headers.get("ETag");
    return answer.json();
  }

  async get<K extends keyof Kinds>(kind: K, token: string): Promise<Kinds[K]> {
    return (await request(`api/${kind}/${token}`)).json();
  }

  async trajectories(tokens: string[]): Promise<Record<string, Trajectory>> {
    return (await (await request(`api/trajectories?runs=${tokens.join(",")}`)).json()).runs;
  }

  async together<K extends keyof Joined>(kind: K, tokens: string[]): Promise<Joined[K] | null> {
    return (await request(`api/${kind}?runs=${tokens.join(",")}`)).json();
  }

  source(src: string): string {
    return src;
  }

  async parquet(tokens: string[]): Promise<Table> {
    const answer = await request(`api/table.parquet?runs=${tokens.join(",")}`);
    return { content: await answer.blob(), without: decodeURIComponent(answer.headers.get("Left-Out") ?? "") };
  }

  async scores(token: string, protocol: string, step: number): Promise<(RowScores | null)[]> {
    return (await (await request(`api/scores/${token}/${protocol}/${step}`)).json()).rows;
  }

  // Asks for the index every two seconds; an unchanged one costs an empty answer.
  watch(changed: (index: Index | null) => void, lost: () => void): void {
    const again = async () => {
      try {
        if (!document.hidden) {
          const answer = await request("api/index", { headers: this.tag ? { "If-None-Match": this.tag } : {} });
          this.tag = answer.headers.get("ETag");
          changed(answer.status === 304 ? null : await answer.json());
        }
      } catch {
        lost();
      }
      setTimeout(again, POLL);
    };
    setTimeout(again, POLL);
  }
}

export async function request(address: string, options: RequestInit = {}): Promise<Response> {
  const answer = await fetch(address, options);
  if (!answer.ok && answer.status !== 304) throw new Error((await answer.text()) || `${address}: ${answer.status}`);
  return answer;
}

// Images of a point in concept space by a kept checkpoint; only where the server was started with --ask.
export async function askModel(token: string, step: number, at: number[]): Promise<Answer> {
  return (
    await request(`api/ask/${token}/${step}?at=${at.join(",")}`, { headers: { "Conceptspace-Ask": "1" } })
  ).json();
}

export function dataBlob(uri: string): Blob {
  const text = atob(uri.slice(uri.indexOf(",") + 1));
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: uri.slice(5, uri.indexOf(";")) });
}

export const payload: Payload = JSON.parse(document.getElementById("payload")?.textContent ?? "{}");
export const carrier: Carrier = payload.index ? new Embedded(payload) : new Served();
