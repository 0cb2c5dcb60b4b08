// ReDoc shows its maker's logo from another host. Nothing here asks another host, so that image gets no source.
const image = HTMLImageElement.prototype;
const { setAttribute } = Element.prototype;
const source = Object.getOwnPropertyDescriptor(image, "src");

function ours(address) {
  const { protocol, origin } = new URL(address, location.href);
  return protocol === "data:" || origin === location.origin;
}

image.setAttribute = function (name, value) {
  if (name !== "src" || ours(value)) setAttribute.call(this, name, value);
};
Object.defineProperty(image, "src", {
  ...source,
  set(value) {
    if (ours(value)) source.set.call(this, value);
  },
});
