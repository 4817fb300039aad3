// The outbox: what a reviewer did, kept in the browser until the server has acknowledged it.
// Each action is an item of its own in localStorage, so that two tabs don't overwrite each other's. The server takes an
// action with a token that it knows for done, so that sending one again is safe.

const PREFIX = "review.action.";
const BATCH = 50;
const UNREADABLE = [413, 422]; // of a body; sent again, it is refused again
const FIRST_WAIT = 2000, LONGEST_WAIT = 30000;

// Not crypto.randomUUID: pages that aren't at localhost and have no TLS don't have it.
export function makeToken() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(16).padStart(2, "0")).join("");
}

export class Outbox {
  // `onResult(action, result)` is called once for each acknowledged action, `onChange(failure)` after each attempt.
  constructor(reviewer, onResult, onChange) {
    this.reviewer = reviewer;
    this.onResult = onResult;
    this.onChange = onChange;
    this.wait = FIRST_WAIT;
    this.isSending = false;
    this.number = 0;
    addEventListener("online", () => this.send());
  }

  keys() {
    const prefix = `${PREFIX}${this.reviewer} `; // no name has a space, and "ann" isn't "ann.lee"
    return Object.keys(localStorage).filter(key => key.startsWith(prefix)).sort();
  }

  waiting() {
    return this.keys().map(key => JSON.parse(localStorage.getItem(key))).filter(Boolean);
  }

  add(action) {
    const order = `${String(Date.now()).padStart(15, "0")}.${String(this.number++).padStart(6, "0")}`;
    localStorage.setItem(`${PREFIX}${this.reviewer} ${order}.${action.token}`, JSON.stringify(action));
    this.send();
  }

  async send() {
    if (this.isSending) return;
    this.isSending = true;
    clearTimeout(this.timer);
    let failure = "";
    try {
      for (let keys; (keys = this.keys().slice(0, BATCH)).length;) await this.sendBatch(keys);
      this.wait = FIRST_WAIT;
    } catch (error) {
      failure = error.message;
      this.timer = setTimeout(() => this.send(), this.wait);
      this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
    } finally {
      this.isSending = false;
    }
    this.onChange(failure);
  }

  async sendBatch(keys) {
    const actions = keys.map(key => JSON.parse(localStorage.getItem(key)));
    const results = await this.post(actions);
    if (!results) for (const key of keys) await this.sendBatch([key]);
    else results.forEach((result, number) => {
      localStorage.removeItem(keys[number]);
      this.onResult(actions[number], result);
    });
  }

  // The result of each action; null where the server takes them one by one only, as it can't read them all at once.
  async post(actions) {
    try {
      return (await request("/review/actions", { actions, reviewer: this.reviewer })).results;
    } catch (error) {
      if (!UNREADABLE.includes(error.status)) throw error;
      return actions.length > 1 ? null : [{ error: error.message }];
    }
  }
}

// What was fetched stays with the tab, for a reload where the dashboard can't be reached; a closed tab forgets it.
export function keepForReload(name, value) {
  try {
    sessionStorage.setItem(`review.${name}`, JSON.stringify(value));
  } catch {
    sessionStorage.removeItem(`review.${name}`); // there is no room for it
  }
}

export const getKept = name => JSON.parse(sessionStorage.getItem(`review.${name}`));

// Raises an Error whose message is for people; it has the `status` where the server was reached.
export async function request(address, body) {
  const options = body
    ? { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) } : {};
  let response;
  try {
    response = await fetch(address, options);
  } catch {
    throw new Error("the dashboard can't be reached");
  }
  const content = await response.json().catch(() => ({}));
  if (response.ok) return content;
  throw Object.assign(new Error(content.error || `the dashboard answered ${response.status}`), { status: response.status });
}
