// Shows the API's document with Swagger UI, from where each request can be tried.
SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  displayRequestDuration: true,
  // Nothing is asked of any other server.
  validatorUrl: null,
})
