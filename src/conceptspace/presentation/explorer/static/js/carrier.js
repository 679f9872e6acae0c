// Two ways to the same answers: from the page itself, or from the server it came from.

const POLL = 2000;

class Embedded {
  constructor(payload) {
    this.payload = payload;
    this.live = false;
  }

  async index() { return this.payload.index; }
  async get(kind, token) { return this.payload[kind][token]; }
  async trajectories(tokens) { return Object.fromEntries(tokens.map((token) => [token, this.payload.trajectory[token]])); }
  async together(kind, tokens) { return this.payload[kind][tokens.join(",")] ?? this.payload[kind]["*"] ?? null; }
  source(src) { return src.startsWith("#") ? this.payload.images[Number(src.slice(1))] : src; }
  async parquet() { return { content: await dataBlob(this.payload.table), without: "" }; }
  watch() {}
}

class Served {
  constructor() {
    this.live = true;
    this.tag = null;
  }

  async index() {
    const answer = await this.ask("api/index");
    this.tag = answer.headers.get("ETag");
    return answer.json();
  }

  async get(kind, token) { return (await this.ask(`api/${kind}/${token}`)).json(); }
  async trajectories(tokens) { return (await (await this.ask(`api/trajectories?runs=${tokens.join(",")}`)).json()).runs; }
  async together(kind, tokens) { return (await this.ask(`api/${kind}?runs=${tokens.join(",")}`)).json(); }
  source(src) { return src; }
  async parquet(tokens) {
    const answer = await this.ask(`api/table.parquet?runs=${tokens.join(",")}`);
    return { content: await answer.blob(), without: decodeURIComponent(answer.headers.get("Left-Out") ?? "") };
  }

  async ask(address, headers = {}) {
    const answer = await fetch(address, { headers });
    if (!answer.ok && answer.status !== 304) throw new Error((await answer.text()) || `${address}: ${answer.status}`);
    return answer;
  }

  // Asks for the index every two seconds; an unchanged one costs an empty answer.
  watch(changed, lost) {
    const again = async () => {
      try {
        if (!document.hidden) {
          const answer = await this.ask("api/index", this.tag ? { "If-None-Match": this.tag } : {});
          this.tag = answer.headers.get("ETag");
          if (answer.status !== 304) changed(await answer.json());
          else changed(null);
        }
      } catch (error) {
        lost(error);
      }
      setTimeout(again, POLL);
    };
    setTimeout(again, POLL);
  }
}

export async function dataBlob(uri) {
  const [head, body] = [uri.slice(5, uri.indexOf(";")), uri.slice(uri.indexOf(",") + 1)];
  const text = atob(body), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Blob([bytes], { type: head });
}

export const payload = JSON.parse(document.getElementById("payload").textContent);
export const carrier = payload.index ? new Embedded(payload) : new Served();
