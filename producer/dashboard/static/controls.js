// Forms that send themselves when something is chosen, and the drawer's keys.
document.querySelectorAll("form[data-submits]").forEach((form) => {
  form.addEventListener("change", () => form.requestSubmit());
  form.addEventListener("formdata", (event) => { // addresses without empty parameters
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
});

let opener = null;
document.body.addEventListener("click", (event) => {
  const link = event.target.closest("[hx-target='#drawer']");
  if (link && !link.classList.contains("close")) opener = link.id;
});

document.body.addEventListener("htmx:afterSettle", (event) => {
  const path = event.detail.requestConfig?.elt;
  if (event.detail.target?.id !== "drawer" || !path?.matches?.("a")) return; // a live refresh moves no focus
  const title = document.getElementById("drawer-title");
  if (title) title.focus();
  else document.getElementById(opener)?.focus();
});

addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector(".drawer .close")?.click();
});
