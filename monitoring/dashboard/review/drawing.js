// Drawing: elements from what the server sent. Text is only ever set as text.

export const find = id => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function makeButton(words, key, act, properties = {}) {
  const button = make("button", { type: "button", onclick: act, ...properties }, words);
  if (key) button.setAttribute("aria-keyshortcuts", key);
  if (key) button.append(make("kbd", { "aria-hidden": "true", textContent: key === "Enter" ? "⏎" : key.toUpperCase() }));
  return button;
}

// Six digits; of a larger number all before the point.
function roundNumber(value) {
  if (Number.isInteger(value)) return value;
  return Math.abs(value) < 1e5 ? Number(value.toPrecision(6)) : Math.round(value);
}

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d/;

export function formatValue(value) {
  if (typeof value === "number") return String(roundNumber(value));
  if (typeof value === "string" && INSTANT.test(value)) return value.replace("T", " ").replace(/(:00)?(\.\d+)?Z$/, " UTC");
  if (value === null || value === undefined) return "missing";
  if (value === true || value === false) return value ? "yes" : "no";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const NO_VALUE = "no value";

// What people said is never rounded.
const formatGiven = value => typeof value === "number" ? String(value) : value === null ? NO_VALUE : formatValue(value);
export const formatLabel = label => Object.entries(label).map(([name, value]) => `${name} ${formatGiven(value)}`).join(", ");

export function drawCase(shown) {
  find("row-about").textContent = [...describeTimes(shown), shown.case, shown.problem].filter(Boolean).join(" · ");
  find("columns").hidden = !shown.columns.length;
  find("columns").caption.textContent = shown.columns.some(([, , weight]) => weight > 0)
    ? "What mattered most for the model's answer comes first" : "In the contract's order";
  find("columns").tBodies[0].replaceChildren(...shown.columns.map(drawColumn));
  drawNeighbours(shown.neighbours);
  find("answers").replaceChildren(...(shown.answers || []).map(drawAnswer));
}

function drawColumn([name, value, weight]) {
  const head = make("th", { scope: "row" }, name);
  if (weight > 0) {
    const bar = make("span", { className: "weight", "aria-hidden": "true" });
    bar.style.width = `${Math.max(2, weight * 90)}%`;
    head.append(bar);
  }
  return make("tr", {}, head, drawValue(value));
}

function drawValue(value) {
  return make("td", { className: value === null ? "missing" : "", textContent: formatValue(value),
    title: typeof value === "number" ? String(value) : "" });
}

function drawNeighbours(near) {
  find("neighbours").hidden = !near;
  if (!near) return;
  const [head, body] = find("neighbours").querySelectorAll("thead, tbody");
  head.replaceChildren(make("tr", {}, ...["outcome", ...near.columns].map(name => make("th", { scope: "col" }, name))));
  body.replaceChildren(
    ...near.rows.map(([outcome, values]) => make("tr", {}, ...[outcome, ...values].map(drawValue))));
}

function drawAnswer({ reviewer, kind, label, sureness, note }) {
  const said = kind === "cannot_tell" ? "can't tell" : formatLabel(label);
  return make("p", {}, make("strong", {}, reviewer), `: ${[said, sureness, note].filter(Boolean).join(" · ")}`);
}

function describeTimes({ picked, due }) {
  const times = [`Picked ${new Date(picked).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })}`];
  if (due) times.push(`an answer waits for it until ${new Date(due).toLocaleString()}`);
  return times;
}

export function drawPairs(list, pairs) {
  list.replaceChildren(...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

export function listOpinions(said) {
  const pairs = [...said.models];
  if (said.rules.length) pairs.push(["rules", said.rules.join(", ")]);
  pairs.push(["picked for", `${said.reasons.join(", ")} (chance ${Number(said.probability.toPrecision(2))})`]);
  return pairs;
}

const NO_VALUE_KEY = "x";

// The fields of an answer. `answer(label)` is called with the outcome columns' values.
export function drawFields(place, form, answer) {
  const [only] = form;
  if (form.length === 1 && only.kind === "boolean") return drawChoices(place, only, [[true, "y"], [false, "n"]], answer);
  if (form.length === 1 && only.kind === "classes") {
    return drawChoices(place, only, only.classes.map((name, n) => [name, n < 10 ? String((n + 1) % 10) : ""]), answer);
  }
  const inputs = form.map(drawInput);
  const button = makeButton("Answer", "Enter", null, { type: "submit", className: "choice" });
  place.replaceChildren(...inputs.flatMap(({ label, absence }) => absence ? [label, absence] : [label]), button);
  place.noValidate = true; // faults are said in words below the field
  place.onsubmit = event => {
    event.preventDefault();
    const label = readInputs(inputs);
    if (label) answer(label);
  };
}

function drawChoices(place, field, choices, answer) {
  const words = value => value === null ? "No value" : value === true ? "Yes" : value === false ? "No" : value;
  const offered = field.nullable ? [...choices, [null, NO_VALUE_KEY]] : choices;
  const buttons = offered.map(([value, key]) =>
    makeButton(words(value), key, () => answer({ [field.name]: value }), { className: "choice" }));
  place.replaceChildren(make("span", { className: "question", id: "question" }, field.name), ...buttons);
  place.setAttribute("aria-labelledby", "question");
}

export function focusAnswer(isTouched = false) {
  const entry = find("fields").querySelector("input:enabled, select:enabled, [type=submit]");
  (entry && !isTouched ? entry : find("row-title")).focus({ preventScroll: true });
}

const KIND_WORDS = { number: "a number", whole: "a whole number", text: "", boolean: "", classes: "" };

function drawInput(field) {
  const options = field.kind === "boolean" ? [true, false] : field.classes;
  const entry = options
    ? make("select", { required: true }, ...["", ...options].map(each => make("option", { value: each }, formatValue(each))))
    : make("input", { autocomplete: "off", required: true, "aria-describedby": "answer-error",
        inputMode: { number: "decimal", whole: "numeric" }[field.kind] || "text" });
  entry.dataset.kind = field.kind;
  if (FOREIGN[field.kind]) entry.onbeforeinput = event => refuseLetters(field, event);
  const bounds = field.min !== undefined && field.max !== undefined ? ` from ${field.min} to ${field.max}` : "";
  const words = KIND_WORDS[field.kind] ? ` (${KIND_WORDS[field.kind]}${bounds})` : "";
  const label = make("label", {}, make("span", {}, field.name + words), entry);
  return { field, entry, label, absence: field.nullable ? makeAbsence(field, entry) : null };
}

// A button that says that a column has no value; pressed again, it has one. It is pressed where the target isn't made of it.
function makeAbsence(field, entry) {
  entry.disabled = field.tells_target === false;
  const button = makeButton("No value", NO_VALUE_KEY, () => {
    entry.disabled = !entry.disabled;
    button.setAttribute("aria-pressed", String(entry.disabled));
    (entry.disabled ? entry.form.querySelector("[type=submit]") : entry).focus();
  }, { "aria-pressed": String(entry.disabled), "aria-label": `${field.name}: no value` });
  return button;
}

// Of the letters only that of an exponent is part of a number. What is pasted is let in, and its fault said.
const FOREIGN = { whole: /^\p{L}$/u, number: /^(?!e)\p{L}$/iu }; // one key

function refuseLetters({ kind }, event) {
  if (event.inputType === "insertText" && FOREIGN[kind].test(event.data)) event.preventDefault();
}

function readInputs(inputs) {
  const problems = inputs.map(({ field, entry }) => entry.disabled ? "" : findFault(field, entry.value.trim()));
  inputs.forEach(({ entry }, n) => entry.setAttribute("aria-invalid", String(Boolean(problems[n]))));
  find("answer-error").textContent = problems.filter(Boolean).join("; ");
  const wrong = problems.findIndex(Boolean);
  if (wrong >= 0) {
    inputs[wrong].entry.focus();
    if (inputs[wrong].entry.select) inputs[wrong].entry.select(); // what is typed next takes its place
    return null;
  }
  return Object.fromEntries(
    inputs.map(({ field, entry }) => [field.name, entry.disabled ? null : readValue(field, entry.value.trim())]));
}

// What may be read in two ways, as "1,000", is no number.
const WRITTEN = { whole: /^[+-]?\d+$/, number: /^[+-]?(?![1-9]\d{0,2},\d{3}$)(\d+|\d*[.,]\d+)(e[+-]?\d+)?$/i };

function readValue({ kind }, text) {
  if (kind === "boolean") return text === "true";
  if (!WRITTEN[kind]) return text;
  return WRITTEN[kind].test(text) ? Number(text.replace(",", ".")) : NaN;
}

function findFault(field, text) {
  if (!text) return `${field.name}: a value is needed`;
  const value = readValue(field, text);
  if (typeof value !== "number") return "";
  if (!Number.isFinite(value) || (field.kind === "whole" && !Number.isSafeInteger(value))) {
    const hint = field.kind === "number" && text.includes(",") ? ": write a decimal point" : "";
    return `${field.name}: expected ${KIND_WORDS[field.kind]}, not ${text}${hint}`;
  }
  if (value < field.min || value > field.max) return `${field.name}: expected ${field.min} to ${field.max}`;
  return "";
}
