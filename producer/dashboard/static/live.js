// The page's one connection: server-sent events of /dashboard/events. Each becomes an event of the body, `dg:NAME`, with its
// data as detail, for other modules and for htmx triggers. The banner says whether the page is live, and whether what it shows is
// monitored: a page that hears of everything while no worker lives is not well.
import { written } from "./times.js";

const STALE_MS = 15_000; // three heartbeats
const RETRY_MS = [500, 1_000, 2_000, 5_000];
const REFRESH_MS = 1_000;
const EVENTS = ["state", "current", "snapshot", "serving", "alert"];
const banner = document.getElementById("banner");

let unmonitored = [];
let source;
let lastId = "";
let heard = Date.now();
let failures = 0;
let refreshed = 0;
let timer;

function say(state) {
  const stale = Date.now() - heard > STALE_MS;
  const blind = state === "live" && unmonitored.length > 0;
  const words = stale ? `stale since ${written(heard, { date: false })}` : blind ? "not monitored" : state;
  banner.dataset.state = stale ? "stale" : blind ? "blind" : state;
  banner.title = blind ? unmonitored.join("\n") : "";
  const shown = banner.querySelector(".words");
  if (shown.textContent !== words) shown.textContent = words; // else a screen reader would say it again
}

function hear(event) {
  heard = Date.now();
  failures = 0;
  if (event.lastEventId) lastId = event.lastEventId;
  say("live");
}

// Each beat says what is not monitored, of all models: a page of one model is well if that one is.
function beat(event) {
  const reasons = JSON.parse(event.data).unmonitored ?? [];
  unmonitored = reasons.filter(({ model }) => ["", banner.dataset.model || model].includes(model)).map(({ reason }) => reason);
  hear(event);
}

function dispatch(name, detail) {
  document.body.dispatchEvent(new CustomEvent(`dg:${name}`, { detail }));
}

// `dg:refresh` is the trigger of what is asked for again: at most once a second, and always after the last change (htmx's own
// throttle drops what comes within the second).
function refresh() {
  timer ??= setTimeout(() => {
    timer = undefined;
    refreshed = Date.now();
    dispatch("refresh", null);
  }, Math.max(0, refreshed + REFRESH_MS - Date.now()));
}

function open() {
  const address = new URL(banner.dataset.events, location.href);
  if (lastId) address.searchParams.set("last_event_id", lastId);
  source = new EventSource(address);
  source.addEventListener("beat", beat);
  for (const name of EVENTS) {
    source.addEventListener(name, (event) => {
      hear(event);
      dispatch(name, JSON.parse(event.data));
      if (name !== "state") refresh();
    });
  }
  source.onerror = retry;
}

function retry() {
  // The browser's own attempts end at the first answer that is no stream, such as a proxy's 502 while the API restarts.
  source.close();
  say("reconnecting");
  setTimeout(open, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
}

function watch() {
  if (Date.now() - heard > STALE_MS) say("stale"); // connected or not: nothing new was seen since
}

// Elements with data-live="model.number" show the latest number of that name from `state`.
function showNumbers(event) {
  for (const element of document.querySelectorAll("[data-live]")) {
    const [model, name] = element.dataset.live.split(".");
    const text = model === event.detail.model ? event.detail.words[name] : undefined;
    if (text !== undefined && element.textContent !== text) element.textContent = text;
  }
}

if (banner) {
  document.body.addEventListener("dg:state", showNumbers);
  setInterval(watch, 1_000);
  addEventListener("pagehide", () => source?.close());
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}
