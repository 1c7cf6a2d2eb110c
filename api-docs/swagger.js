// Shows the OpenAPI document with Swagger UI, where each request can be tried.

// The access token survives a reload and ends with the tab. Swagger UI's own `persistAuthorization`
// would keep it in localStorage, where it stays after signing out.
const KEPT = 'swagger-authorization'
const keptForTheTab = () => ({
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (authorize) => (authorization) => {
          sessionStorage.setItem(KEPT, JSON.stringify(authorization))
          return authorize(authorization)
        },
        logout: (logout) => (names) => {
          sessionStorage.removeItem(KEPT)
          return logout(names)
        },
      },
    },
  },
})

const ui = SwaggerUIBundle({
  url: 'openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  displayRequestDuration: true,
  plugins: [keptForTheTab],
  onComplete: () => {
    const kept = sessionStorage.getItem(KEPT)
    if (kept) ui.authActions.authorize(JSON.parse(kept))
  },
  // Call no other server.
  validatorUrl: null,
})

// Swagger UI has a dark theme but does not choose it by itself.
const night = matchMedia('(prefers-color-scheme: dark)')
const follow = () => document.documentElement.classList.toggle('dark-mode', night.matches)
night.addEventListener('change', follow)
follow()
