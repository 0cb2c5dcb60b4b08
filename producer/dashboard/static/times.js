// Times are rendered in UTC. Here they become "3 min ago", with the moment itself as the title, and among facts also beside, in the
// reader's zone or in UTC: the switch in the header chooses, and the browser remembers. Clocks have 24 hours; a zone is always
// named.
const KEY = "driftgauge-zone";
const AGES = [["s", 1_000, 60], ["min", 60_000, 60], ["h", 3_600_000, 24], ["d", 86_400_000, 8]];
const NOW_MS = 5_000;
const AGAIN_MS = 10_000;
const MINUS = "\u2212";

let utc = remembered() === "utc";
let absolute = false; // on paper, nothing is "ago"

function remembered() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // a browser may forbid it: then nothing is remembered
  }
}

export const inUtc = () => utc;

function two(number) {
  return String(number).padStart(2, "0");
}

function zone(moment) {
  const minutes = utc ? 0 : -moment.getTimezoneOffset();
  const [size, sign] = [Math.abs(minutes), minutes < 0 ? MINUS : "+"];
  return utc || size === 0 ? "UTC" : `UTC${sign}${two(Math.trunc(size / 60))}:${two(size % 60)}`;
}

function clock(moment) {
  const get = (part) => two(utc ? moment[`getUTC${part}`]() : moment[`get${part}`]());
  return `${get("Hours")}:${get("Minutes")}:${get("Seconds")}`;
}

// A moment (ms) as date, time and zone, as Python's wording/times.py has it.
export function written(ms, { date = true } = {}) {
  const moment = new Date(ms);
  const [year, month, day] = utc
    ? [moment.getUTCFullYear(), moment.getUTCMonth(), moment.getUTCDate()]
    : [moment.getFullYear(), moment.getMonth(), moment.getDate()];
  const at = `${clock(moment)} ${zone(moment)}`;
  return date ? `${String(year).padStart(4, "0")}-${two(month + 1)}-${two(day)} ${at}` : at;
}

// How long ago a moment is, from seconds to a week; empty if it is older, or still to come.
function ago(ms) {
  const age = Date.now() - ms;
  if (age < -NOW_MS) return "";
  if (age < NOW_MS) return "just now";
  const found = AGES.find(([, size, most]) => age < size * most);
  return found ? `${Math.floor(age / found[1])}\u00a0${found[0]} ago` : "";
}

function show(element) {
  const ms = Number(element.dataset.ms);
  if (Number.isNaN(new Date(ms).getTime())) return; // a sender's clock may lie beyond the calendar
  const exact = written(ms);
  const relative = absolute || "exact" in element.dataset ? "" : ago(ms);
  const text = relative && element.closest("dl.facts") ? `${relative}, ${exact}` : relative || exact;
  if (element.textContent !== text) element.textContent = text;
  if (element.title !== exact) element.title = exact;
}

function showAll() {
  document.querySelectorAll("time[data-ms]").forEach(show);
}

const chooser = document.getElementById("zone");

function choose(toUtc) {
  utc = toUtc;
  chooser.textContent = utc ? "UTC" : "Local time";
  chooser.title = utc ? "Times are in UTC. Show them in this computer's zone" : "Times are in this computer's zone. Show them in UTC";
  showAll();
}

if (chooser) {
  chooser.hidden = false;
  chooser.addEventListener("click", () => {
    choose(!utc);
    try {
      localStorage.setItem(KEY, utc ? "utc" : "local");
    } catch {} // as in `remembered`
    document.body.dispatchEvent(new CustomEvent("dg:zone"));
  });
  choose(utc);
}

showAll();
setInterval(showAll, AGAIN_MS);
document.body.addEventListener("htmx:afterSwap", showAll);
for (const [name, printed] of [["beforeprint", true], ["afterprint", false]]) {
  addEventListener(name, () => { absolute = printed; showAll(); });
}
