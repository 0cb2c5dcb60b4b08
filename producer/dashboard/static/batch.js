// The Batch page: a file is checked by its beginning (Parquet by its end, where its columns stand), sent to
// POST /predict_batch, and its answers are kept for download.
// Everything from the file or the API is shown as text.
import { problem } from "./actions.js";

const BEGINNING = 1 << 20;
const SHOWN = 10;
const ROW = /^\d+,\d*,(ok|invalid|failed),/;

const box = document.getElementById("batch");
const part = (id) => document.getElementById(id);
const CSV = "text/csv";
const PARQUET = "application/vnd.apache.parquet";
const FORMS = {
  jsonl: "application/x-ndjson",
  ndjson: "application/x-ndjson",
  parquet: PARQUET,
  arrow: "application/vnd.apache.arrow.file",
  feather: "application/vnd.apache.arrow.file",
};
const count = new Intl.NumberFormat("en");
let file;
let request;
let link;

const query = (more = {}) => {
  const given = { model: box.dataset.model, ...(box.dataset.version && { version: box.dataset.version }), ...more };
  return `?${new URLSearchParams(given)}`;
};

const formOf = (chosen) => FORMS[chosen.name.split(".").pop().toLowerCase()] ?? CSV;

function say(severity, text, faults = []) {
  const verdict = part("verdict");
  verdict.hidden = false;
  verdict.className = `note edge-${severity}`;
  verdict.textContent = text;
  part("faults").hidden = faults.length === 0;
  part("faults").replaceChildren(...faults.map((fault) => element("li", fault)));
}

function element(name, text, className = "") {
  return Object.assign(document.createElement(name), { textContent: text, className });
}

function forget() {
  part("predict").disabled = true;
  part("preview").hidden = true;
  part("download").hidden = true;
  part("advance").hidden = true;
  if (link) URL.revokeObjectURL(link);
  link = undefined;
}

async function choose(chosen) {
  forget();
  file = chosen;
  if (!file) return;
  if (file.size > Number(box.dataset.bytes)) {
    say("critical", `This file has ${count.format(file.size)} bytes; at most ${count.format(Number(box.dataset.bytes))} are taken.`);
    return;
  }
  say("unknown", "Checking the columns …");
  const mine = file;
  try {
    const form = formOf(file);
    const body = form === PARQUET ? file.slice(-BEGINNING) : file.slice(0, BEGINNING);
    const address = box.dataset.check + query({ whole: file.size <= BEGINNING });
    const answer = await fetch(address, { method: "POST", headers: { "Content-Type": form }, body });
    if (mine !== file) return; // another file was chosen meanwhile
    if (!answer.ok) say("critical", ...(await told(answer)));
    else judge(await answer.json());
  } catch {
    say("critical", "The file could not be checked: it cannot be read any more, or the API does not answer.");
  }
}

async function told(answer) {
  const [detail, ...errors] = await problem(answer);
  return [detail, errors];
}

function judge(found) {
  if (found.faults.length) {
    const faults = found.faults.map((fault) => `${nameOf(fault.field)} ${fault.message}`);
    say("critical", "These columns do not fit the model; nothing was sent.", faults);
    return;
  }
  const bad = found.rows.filter((row) => row.errors.length).length;
  const absent = found.absent.length ? ` Not in the file, so missing: ${found.absent.join(", ")}.` : "";
  const rows = bad ? ` ${bad} of the first ${found.rows.length} rows do not fit; they will be answered as invalid.` : "";
  const later = found.rows.length ? "" : " Its rows are checked when it is sent.";
  const columns = bad && bad === found.rows.length ? "" : `All ${found.header.length} columns fit the model.`;
  say(bad ? "warning" : "ok", `${columns}${absent}${rows}${later}`.trim());
  preview(found);
  part("predict").disabled = false;
}

// A JSON pointer's last name (RFC 6901).
const nameOf = (field) => field.split("/").pop().replaceAll("~1", "/").replaceAll("~0", "~");

function preview(found) {
  const head = document.createElement("tr");
  head.append(element("th", "Line", "num"), element("th", "Prediction", "num"), ...found.header.map((name) => element("th", name)));
  part("preview").querySelector("thead").replaceChildren(head);
  const rows = found.rows.slice(0, SHOWN).map((row) => {
    const made = document.createElement("tr");
    made.dataset.line = row.line;
    const errors = row.errors.map((error) => `${nameOf(error.field)} ${error.message}`).join("; ");
    made.append(element("td", row.line, "num"), element("td", errors || "–", errors ? "fault" : "num"));
    made.append(...row.cells.map((cell) => element("td", cell)));
    return made;
  });
  part("preview").querySelector("tbody").replaceChildren(...rows);
  part("preview").hidden = rows.length === 0;
}

// Lines of the file, counted here so that the answers' line numbers tell how far it is.
async function lines(chosen) {
  let found = 1;
  const reader = chosen.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return found;
    for (let at = value.indexOf(10); at >= 0; at = value.indexOf(10, at + 1)) found += 1;
  }
}

async function predict() {
  const total = await lines(file);
  part("predict").disabled = true;
  part("stop").hidden = false;
  part("download").hidden = true;
  part("advance").hidden = false;
  progress(0, "Sending …");
  request = new XMLHttpRequest();
  const answers = new Answers(total);
  request.open("POST", box.dataset.predict + query());
  request.setRequestHeader("Content-Type", formOf(file));
  request.setRequestHeader("Accept", "text/csv");
  request.upload.onprogress = (event) => progress((0.3 * event.loaded) / (event.total || 1), "Sending …");
  request.onprogress = () => request.status === 200 && answers.take(request.responseText);
  request.onload = () => finish(answers);
  request.onerror = () => say("critical", "The connection broke off. Rows that were predicted until then are in the log.");
  request.onabort = () => say("warning", "Stopped. Rows that were predicted until then are in the log.");
  request.onloadend = () => {
    part("stop").hidden = true;
    part("predict").disabled = false;
  };
  request.send(file);
}

function progress(share, words) {
  part("bar").value = share;
  part("done").textContent = words;
}

// The answers as they come: whole lines are counted, and those of the preview shown.
class Answers {
  constructor(total) {
    this.total = total;
    this.read = 0;
    this.counts = { ok: 0, invalid: 0, failed: 0 };
    this.dropped = 0;
    this.columns = undefined;
    this.line = 0;
  }

  take(text) {
    const end = text.lastIndexOf("\r\n") + 2;
    const fresh = text.slice(this.read, end);
    this.read = Math.max(this.read, end);
    for (const line of fresh.split("\r\n")) if (line) this.row(line);
    const rows = this.counts.ok + this.counts.invalid + this.counts.failed;
    progress(0.3 + 0.7 * Math.min(1, this.line / this.total || 0), `${count.format(rows)} rows`);
  }

  row(line) {
    if (!this.columns) {
      this.columns = cells(line);
      return;
    }
    if (!ROW.test(line)) return; // the rest of a cell with a line break
    const found = cells(line);
    const answer = Object.fromEntries(this.columns.map((name, at) => [name, found[at]]));
    this.counts[answer.status] += 1;
    this.dropped += answer.event === "dropped";
    this.line = Number(answer.line);
    const shown = part("preview").querySelector(`tr[data-line="${this.line}"]`);
    if (shown) this.show(shown, answer);
  }

  show(row, answer) {
    const good = answer.status === "ok";
    row.children[1].textContent = good ? rounded(answer.prediction) : answer.error;
    row.children[1].title = good ? answer.prediction : "";
    row.children[1].className = good ? "num" : "fault";
  }
}

// A number in six digits; the file has all of them.
function rounded(text) {
  const number = Number(text);
  return text.trim() === "" || Number.isNaN(number) ? text : String(Number(number.toPrecision(6)));
}

// The cells of one line of CSV (RFC 4180).
function cells(line) {
  const found = [];
  for (const match of line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    found.push(match[1] === undefined ? match[2] : match[1].replaceAll('""', '"'));
  }
  return found;
}

async function finish(answers) {
  if (request.status !== 200) {
    const answer = new Response(request.responseText, { status: request.status, statusText: request.statusText });
    say("critical", ...(await told(answer)));
    part("advance").hidden = true;
    return;
  }
  answers.take(request.responseText);
  const { ok, invalid, failed } = answers.counts;
  progress(1, `${count.format(ok + invalid + failed)} rows`);
  const parts = [`${count.format(ok)} predicted`];
  if (invalid) parts.push(`${count.format(invalid)} did not fit`);
  if (failed) parts.push(`${count.format(failed)} failed in the model`);
  if (answers.dropped) parts.push(`${count.format(answers.dropped)} not monitored, since the queue was full`);
  say(invalid || failed || answers.dropped ? "warning" : "ok", `Done: ${parts.join(", ")}.`);
  offer(new Blob([request.responseText], { type: "text/csv" }));
}

function offer(blob) {
  link = URL.createObjectURL(blob);
  const stamp = new Date().toISOString().replace(/[-:]/g, "").replace("T", "_").slice(0, 15);
  const model = request.getResponseHeader("Driftgauge-Model").replace(/[^a-z0-9_-]/g, "");
  const download = part("download");
  download.href = link;
  download.download = `predictions_${model}_${stamp}.csv`;
  download.textContent = `Download ${download.download}`;
  download.hidden = false;
  download.focus();
}

if (part("file")) {
  part("file").addEventListener("change", (event) => choose(event.target.files[0]));
  part("predict").addEventListener("click", predict);
  part("stop").addEventListener("click", () => request?.abort());
  const drop = part("drop");
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    part("file").files = event.dataTransfer.files;
    choose(event.dataTransfer.files[0]);
  });
}
