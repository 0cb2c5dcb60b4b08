// Swagger UI on our own description; its validator is a service of another host, so there is none.
const place = document.getElementById("main");
window.SwaggerUIBundle({
  domNode: place,
  url: place.dataset.spec,
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
});
