// Forms that send themselves when something is chosen, and the drawer's keys.
document.querySelectorAll("form[data-submits]").forEach((form) => {
  form.addEventListener("change", (event) => {
    if (!event.target.hasAttribute("hx-get")) form.requestSubmit(); // what is asked for while it is typed needs no more
  });
  form.addEventListener("formdata", (event) => { // addresses without empty parameters
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
});

// Focus goes into the drawer when it opens, and back to the feature that it was about when it closes.
let opener = null;

function focusDrawer() {
  const title = document.getElementById("drawer-title");
  if (!title && opener) document.getElementById(opener)?.focus();
  opener = title?.closest(".drawer").dataset.opener ?? null;
  title?.focus();
}

document.body.addEventListener("htmx:afterSettle", (event) => {
  const asked = event.detail.requestConfig?.elt;
  if (event.detail.target?.id === "drawer" && asked?.matches("a")) focusDrawer(); // a live refresh moves no focus
});
focusDrawer();

addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector(".drawer .close")?.click();
});
