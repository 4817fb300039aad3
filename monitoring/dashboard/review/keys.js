// Single keys: each button of the answer says which key it has, and that key clicks it. They can be turned off.

import { drawPairs, find, focusAnswer } from "/review/drawing.js";

const KEYS_KEY = "review.single-keys";
const NUMBER_FIELDS = "[data-kind=number], [data-kind=whole]"; // the only fields in which letters are commands
const listButtons = () => [...document.querySelectorAll("#answer [aria-keyshortcuts], #open-help")];
const getKey = button => button.getAttribute("aria-keyshortcuts");

// `otherwise(key)` is called for a key that no visible button has.
export function listenToKeys(otherwise) {
  addEventListener("keydown", event => {
    if (event.target === find("note") && event.key === "Escape") focusAnswer();
    if (!isCommand(event)) return;
    const key = event.key.toLowerCase();
    const button = listButtons().find(each => getKey(each) === key && each.checkVisibility());
    if (!button) return /^[-\d]$/.test(key) && focusNumber() ? undefined : otherwise(key); // the field gets the key
    event.preventDefault();
    button.click();
  });
  find("open-help").onclick = openHelp;
  find("close-help").onclick = () => find("help").close();
  find("single-keys").onchange = event => localStorage.setItem(KEYS_KEY, event.target.checked ? "on" : "off");
}

function focusNumber() {
  const entry = find("fields").querySelector(NUMBER_FIELDS);
  if (!entry || entry.disabled) return false;
  entry.focus();
  return true;
}

function isCommand({ key, target, repeat, ctrlKey, altKey, metaKey, isComposing }) {
  if (repeat || ctrlKey || altKey || metaKey || isComposing || key === "Enter") return false;
  if (find("help").open || localStorage.getItem(KEYS_KEY) === "off") return false;
  return target.matches(NUMBER_FIELDS) ? !/^[0-9]$/.test(key) : !target.matches("textarea, select, input");
}

function openHelp() {
  const pairs = listButtons().map(each => [getKey(each).toUpperCase(), each.firstChild.textContent.trim()]);
  drawPairs(find("help-keys"), [...pairs, ["ESC", "Leave the note"]]);
  find("single-keys").checked = localStorage.getItem(KEYS_KEY) !== "off";
  find("help").showModal();
}
