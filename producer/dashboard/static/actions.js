// Dialogs and the forms in them: a form with data-json is sent as JSON to the API's own route, and what the API says to it is
// shown as text. Then the page's parts that listen to `dg:done` ask for themselves again.

// The button that opened a dialog says where its form goes (data-action) and what it is about (data-about).
function open(button) {
  const dialog = document.getElementById(button.dataset.dialog);
  const form = dialog.querySelector("form");
  form.reset();
  form.dataset.action = button.dataset.action;
  for (const element of dialog.querySelectorAll("[data-fill]")) {
    const text = button.dataset[element.dataset.fill];
    if (text !== undefined) element.textContent = text;
  }
  complain(form, []);
  dialog.showModal();
}

function fields(form) {
  const found = {};
  for (const element of form.elements) {
    if (!element.name) continue;
    if (element.type === "checkbox") {
      if (element.checked) found[element.name] = true;
    } else if (element.value !== "") {
      found[element.name] = "number" in element.dataset ? Number(element.value) : element.value;
    }
  }
  return found;
}

function complain(form, lines) {
  const fault = form.querySelector(".fault");
  fault.replaceChildren(...lines.map((line) => Object.assign(document.createElement("p"), { textContent: line })));
  fault.hidden = lines.length === 0;
}

// What is wrong, as a problem document (RFC 9457) says it: its detail, then each failed check or bad field.
export async function problem(answer) {
  try {
    const found = await answer.json();
    if (found.gates) return [found.detail.split("\n")[0], ...found.gates.map(failed), "Tick the box below the reason to overrule them."];
    const errors = (found.errors ?? []).map((error) => `${error.field.split("/").pop()}: ${error.message}`);
    return [found.detail ?? answer.statusText, ...errors];
  } catch {
    return [`The API answered ${answer.status} ${answer.statusText}.`];
  }
}

function failed(check) {
  const bound = check.bound ? ` (required: ${check.bound})` : "";
  const measured = check.value === undefined || check.value === null ? "" : ` ${check.value}`;
  return `\u2022 ${check.name}${measured}${bound}${check.detail ? `: ${check.detail}` : ""}`;
}

async function send(form) {
  const buttons = [...form.querySelectorAll("button")];
  for (const button of buttons) button.disabled = true;
  try {
    const body = JSON.stringify(fields(form));
    const headers = { "Content-Type": "application/json", Accept: "application/json" };
    const answer = await fetch(form.dataset.action, { method: "POST", headers, body });
    if (!answer.ok) return complain(form, await problem(answer));
    form.closest("dialog").close();
    tell(form.dataset.done);
    document.body.dispatchEvent(new CustomEvent("dg:done"));
  } catch {
    complain(form, ["The API does not answer; nothing is known to have changed. Try again when the page is live."]);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

function tell(text) {
  const outcome = document.getElementById("outcome");
  if (!outcome) return;
  outcome.hidden = false;
  outcome.textContent = text;
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) open(opener);
  else if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
});

document.addEventListener("submit", (event) => {
  if (!("json" in event.target.dataset)) return;
  event.preventDefault();
  send(event.target);
});

// A part with data-hold is not replaced under the reader's hands: while something in it is open, or has the focus.
document.body.addEventListener("htmx:beforeRequest", (event) => {
  const part = event.detail.target;
  if (!part || !("hold" in part.dataset)) return;
  const busy = part.querySelector("details[open]") || part.contains(document.activeElement) || window.getSelection()?.toString();
  if (busy) event.preventDefault();
});

// What the reader has unfolded or ticked stays so when its part is replaced. (htmx keeps the focus, by the ids of elements.)
const KEPT = [["details[id]", "open"], ["input[type=checkbox][id]", "checked"]];
const kept = new Map();
document.body.addEventListener("htmx:beforeSwap", (event) => {
  for (const [selector, property] of KEPT) {
    for (const element of event.detail.target.querySelectorAll(selector)) kept.set(element.id, element[property]);
  }
});
document.body.addEventListener("htmx:afterSwap", (event) => {
  for (const [selector, property] of KEPT) {
    for (const element of event.detail.target.querySelectorAll(selector)) {
      if (kept.has(element.id)) element[property] = kept.get(element.id);
    }
  }
});

// A box with data-all ticks every box of that name. It is hidden without a script, which it needs.
for (const all of document.querySelectorAll("[data-all]")) {
  all.parentElement.hidden = false;
  all.addEventListener("change", () => {
    for (const box of document.getElementsByName(all.dataset.all)) box.checked = all.checked;
  });
}
