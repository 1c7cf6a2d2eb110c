// Shows the API's document with Swagger UI, from where each request can be tried.
SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  displayRequestDuration: true,
  // The access token survives a reload; it is kept in this browser until "Logout" is pressed.
  persistAuthorization: true,
  // No other server is called.
  validatorUrl: null,
})

// Swagger UI has a dark design of its own, which it does not choose by itself.
const night = matchMedia('(prefers-color-scheme: dark)')
const follow = () => document.documentElement.classList.toggle('dark-mode', night.matches)
night.addEventListener('change', follow)
follow()
