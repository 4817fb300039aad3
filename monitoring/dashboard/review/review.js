// The review page: one row at a time; answers go to the outbox at once, and the next rows are here already.

import { Outbox, getKept, keepForReload, makeToken, request } from "/review/outbox.js";
import { listenToKeys } from "/review/keys.js";
import { drawCase, drawFields, drawPairs, find, focusAnswer, formatLabel, formatValue, listOpinions, makeButton } from "/review/drawing.js";

const FETCHED = 20, FEW = 8, LOOK_AGAIN = 30000;
const NAME_KEY = "review.name";
const SURENESS = [["sure", "r"], ["likely", "l"], ["guess", "g"]];
const state = { reviewer: "", isNamed: false, cases: [], current: null, done: [], drafts: new Map(), mode: "", sureness: "", refused: "", failure: "" };
let outbox, last = null, fetching = null;

async function begin() {
  const found = await fetchForm();
  state.form = found.form;
  find("problem-question").textContent = found.question;
  state.isNamed = !found.reviewer;
  const name = found.reviewer || localStorage.getItem(NAME_KEY) || "";
  return name ? work(name) : askName();
}

async function fetchForm() {
  try {
    const found = await request("/review/next?count=0");
    keepForReload("form", found);
    return found;
  } catch (error) {
    if (error.status || !getKept("form")) throw error;
    return getKept("form");
  }
}

function askName() {
  find("name-form").hidden = false;
  find("name").focus();
}

find("name-form").onsubmit = async event => {
  event.preventDefault();
  const name = find("name").value.trim();
  try {
    await request(address("next", { count: 0, reviewer: name }));
  } catch (error) {
    find("name-error").textContent = error.message;
    return;
  }
  localStorage.setItem(NAME_KEY, name);
  find("name-form").hidden = true;
  work(name);
};

async function work(name) {
  state.reviewer = name;
  find("who").textContent = name;
  find("other-name").hidden = !state.isNamed;
  outbox = new Outbox(name, takeResult, takeAttempt);
  drawCommands();
  await outbox.send();
  setInterval(() => document.hidden || fetchProgress().catch(() => {}), LOOK_AGAIN);
  await fetchCases();
  if (state.failure && !state.cases.length) takeCases(getKept(getRowsName()) || []);
  showNext();
}

const getRowsName = () => `rows ${state.mode} ${state.reviewer}`;
const keepRows = () => keepForReload(getRowsName(), [state.current, ...state.cases].filter(Boolean));

const address = (what, query) => `/review/${what}?${new URLSearchParams(query)}`;

function fetchCases() {
  fetching ||= fetchMore().finally(() => { fetching = null; });
  return fetching;
}

async function fetchMore() {
  const mode = state.mode;
  try {
    const query = { count: FETCHED, mode, ...(state.isNamed ? { reviewer: state.reviewer } : {}) };
    const { cases } = await request(address("next", query));
    if (mode === state.mode) takeCases(cases);
    keepRows();
    await fetchProgress();
    state.failure = "";
  } catch (error) {
    state.failure = error.message;
  }
  showBanner(state.failure);
}

const fetchProgress = async () => showProgress(await request(address("progress", {})));

function takeAttempt(failure) {
  showBanner(failure);
  if (!failure && state.failure && !state.current) showNext();
  if (!failure) fetchProgress().catch(error => showBanner(error.message));
}

// What was answered here may still be listed: the list was made before the answer arrived.
function takeCases(cases) {
  const known = new Set([...state.cases, state.current].filter(Boolean).map(each => each.case));
  const handled = new Set(state.done.filter(({ kind }) => kind !== "skip").map(({ shown }) => shown.case));
  outbox.waiting().forEach(action => handled.add(action.case));
  state.cases.push(...cases.filter(each => !known.has(each.case) && !handled.has(each.case)));
}

async function showNext() {
  for (let tries = 0; tries < 2 && !state.cases.length; tries++) await fetchCases(); // the first may be of another mode
  show(state.cases.shift() || null);
  if (state.cases.length < FEW) fetchCases();
}

function show(shown) {
  state.current = shown;
  keepRows();
  find("work").hidden = find("answer").hidden = !shown;
  find("nothing").hidden = Boolean(shown);
  clearTimeout(state.timer);
  if (!shown) return showNothing();
  find("row-title").textContent = state.mode ? "A row on which two answers differ" : "Row";
  const { note, sureness } = state.drafts.get(getDraftKey(shown)) || { note: "", sureness: "" };
  drawCase(shown);
  find("answer-error").textContent = "";
  find("note").value = note;
  find("note-box").hidden = !note;
  drawFields(find("fields"), state.form, label => act(state.mode || "answer", label));
  chooseSureness(sureness);
  scrollTo(0, 0);
  focusAnswer(matchMedia("(pointer: coarse)").matches); // a field would open the phone's keyboard
  const most = shown.columns.slice(0, 5).map(([name, value]) => `${name} ${formatValue(value)}`);
  announce(`Next row. ${most.join(", ")}`);
}

// Note and sureness of a row stay until it is answered, and are back after an undo.
const getDraftKey = shown => `${state.mode} ${shown.case}`;

function keepDraft() {
  state.drafts.set(getDraftKey(state.current), { note: find("note").value.trim(), sureness: state.sureness });
}

function showNothing() {
  find("nothing-title").textContent = state.failure ? "The next rows aren't here" : "Nothing waits for you";
  find("nothing-why").textContent = state.failure ? "They are fetched as soon as the dashboard can be reached." : state.mode ? "There is no row on which answers differ."
    : "New rows are picked as requests arrive. This page looks again by itself.";
  find("nothing-title").focus();
  announce(find("nothing-title").textContent);
  state.timer = setTimeout(showNext, LOOK_AGAIN);
}

function act(kind, label = {}) {
  const shown = state.current, action = { token: makeToken(), case: shown.case, kind };
  const given = { note: find("note").value.trim(), sureness: kind === "skip" ? "" : state.sureness };
  keepDraft();
  state.done.push({ shown, kind });
  last = { shown, words: describeAction(kind, label) };
  state.refused = "";
  showLast(shown.said);
  outbox.add({ ...action, label, ...given });
  showNext();
}

function undo() {
  const before = state.done.pop();
  if (!before) return announce("There is nothing to undo.");
  if (state.current) {
    keepDraft();
    state.cases.unshift(state.current);
  }
  if (before.kind !== "pass") outbox.add({ token: makeToken(), case: before.shown.case, kind: "undo" });
  last = null;
  find("last").hidden = true;
  show(before.shown);
  announce("Undone. The row is back.");
}

// To leave a conflict to others isn't recorded: a skip would take the place of one's own answer.
function skip() {
  if (!state.mode) return act("skip");
  keepDraft();
  state.done.push({ shown: state.current, kind: "pass" });
  showNext();
}

function describeAction(kind, label) {
  const words = { skip: "Skipped", cannot_tell: "Can't tell" }[kind];
  return words || `You said: ${formatLabel(label)}`;
}

function takeResult(action, result) {
  if (result.error) {
    state.done = state.done.filter(({ shown }) => shown.case !== action.case || action.kind === "undo");
    state.refused = `Not recorded: ${result.error}`;
  } else if (result.said && last && last.shown.case === action.case) {
    last.shown.said = result.said;
    showLast(result.said, result.status);
  }
}

function showLast(said, status = "") {
  const more = { conflict: " Another answer differs: it waits under Conflicts.", open: " It waits for a second person." };
  find("last").hidden = false;
  find("last-answer").textContent = `${last.words}.${(!last.words.startsWith("Skipped") && more[status]) || ""}`;
  drawPairs(find("last-said"), said ? listOpinions(said) : []);
  const first = said && said.models[0];
  announce(first ? `${last.words}. ${first[0]}: ${first[1]}` : last.words);
}

function showProgress({ today, statuses, half_answered: half, facts }) {
  const own = today[state.reviewer] || 0;
  find("progress").hidden = false;
  find("progress-bar").max = Math.max(1, own + statuses.open);
  find("progress-bar").value = own;
  const others = Object.entries(today).filter(([name]) => name !== state.reviewer);
  drawPairs(find("progress-facts"), [
    ["open", half ? `${statuses.open}, ${half} of them for a second person` : String(statuses.open)], ["done by you today", String(own)],
    ...others.map(([name, count]) => [`by ${name}`, String(count)]), ...facts]);
  find("mode").hidden = !statuses.conflict && !state.mode;
  find("mode").textContent = `Conflicts (${statuses.conflict})`;
}

function showBanner(failure) {
  const waiting = outbox ? outbox.keys().length : 0;
  const words = waiting === 1 ? "1 answer is" : `${waiting} answers are`;
  const parts = [state.refused, failure && `${failure[0].toUpperCase()}${failure.slice(1)}.`,
    waiting && failure && `${words} kept in this browser, and sent as soon as that works.`];
  const text = parts.filter(Boolean).join(" ");
  find("banner").hidden = !text;
  if (find("banner").textContent !== text) find("banner").textContent = text;
}

function announce(words) {
  const live = find("live");
  live.textContent = live.textContent && Date.now() - live.dataset.at < 300 ? `${live.textContent}. ${words}` : words;
  live.dataset.at = Date.now();
}

function drawCommands() {
  const sureness = SURENESS.map(([name, key]) =>
    makeButton(name[0].toUpperCase() + name.slice(1), key, () => chooseSureness(state.sureness === name ? "" : name),
      { id: `sureness-${name}` }));
  find("sureness").replaceChildren(...sureness);
  const commands = [["Skip", "s", skip], ["Can't tell", "c", () => act("cannot_tell")], ["Undo", "u", undo],
    ["Note", "o", openNote]];
  const isOffered = ([words]) => !state.mode || words !== "Can't tell";
  find("commands").replaceChildren(...commands.filter(isOffered).map(command => makeButton(...command)));
}

function chooseSureness(name) {
  state.sureness = name;
  SURENESS.forEach(([each]) => find(`sureness-${each}`).setAttribute("aria-pressed", String(each === name)));
}

function openNote() {
  find("note-box").hidden = false;
  find("note").focus();
}

find("look-again").onclick = showNext;
find("other-name").onclick = () => {
  localStorage.removeItem(NAME_KEY);
  location.reload();
};
find("mode").onclick = () => {
  if (state.current) keepDraft();
  state.mode = state.mode ? "" : "adjudicate";
  find("mode").setAttribute("aria-pressed", String(Boolean(state.mode)));
  Object.assign(state, { cases: [], done: [], current: null });
  drawCommands();
  showNext();
};
listenToKeys(key => key === "u" && !state.current && undo());
navigator.serviceWorker?.register("/review/worker.js", { scope: "/review" }).catch(() => {}); // then a reload takes the network
begin().catch(error => showBanner(error.message));
